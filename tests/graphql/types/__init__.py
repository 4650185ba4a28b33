"""Tests of graphql/types."""
