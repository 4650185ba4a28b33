"""Tests of web/middleware."""
