"""Tests of core/redis."""
