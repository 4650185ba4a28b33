"""Tests of usage/journal."""
