"""Tests of graphql/live."""
