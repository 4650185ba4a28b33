"""Tests of web/usage."""
