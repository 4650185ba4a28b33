"""Tests of faults/tools."""
