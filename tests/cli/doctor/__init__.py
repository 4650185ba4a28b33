"""Tests of cli/doctor."""
