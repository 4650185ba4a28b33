"""Tests of usage/history."""
