"""Tests mirror portal/, web/ and workers/. Everything runs against real servers: see conftest.py."""
