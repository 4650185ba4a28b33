"""Tests of check/degraded."""
