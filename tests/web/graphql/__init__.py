"""Tests of web/graphql."""
