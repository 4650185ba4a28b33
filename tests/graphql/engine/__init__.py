"""Tests of graphql/engine."""
