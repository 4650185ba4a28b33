"""Tests of usage/export."""
