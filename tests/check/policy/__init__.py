"""Tests of check/policy."""
