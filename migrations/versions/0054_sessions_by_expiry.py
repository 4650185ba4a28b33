"""Ended sessions are found for deletion without reading the living ones."""

from alembic import op

revision = "0054"
down_revision = "0053"


def upgrade() -> None:
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
