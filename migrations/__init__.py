"""Alembic migrations, async, one change a file. `portal migrate` runs them under an advisory lock."""
