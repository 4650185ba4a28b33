"""Tests of accounts/members."""
