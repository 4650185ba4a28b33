"""Tests of usage/audit."""
