"""Limits of the plan that staff replaced for one key, and when the next of them ends."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0060"
down_revision = "0054"


def upgrade() -> None:
    op.add_column("keys", sa.Column("overrides", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False))
    op.add_column("keys", sa.Column("overrides_end_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_keys_overrides_end",
        "keys",
        ["overrides_end_at"],
        postgresql_where=sa.text("overrides_end_at IS NOT NULL"),
    )
