"""Tests of accounts/sessions."""
