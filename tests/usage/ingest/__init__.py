"""Tests of usage/ingest."""
