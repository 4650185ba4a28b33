"""Settlements: a usage event whose cost was replaced once; found by its instant alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("usage_events", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_usage_events_occurred", "usage_events", ["occurred_at"], postgresql_using="brin")
