"""Tests of usage/retention."""
