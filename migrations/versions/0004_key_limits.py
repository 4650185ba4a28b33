"""Limits of a key's own, beside those of its plan."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("keys", sa.Column("limits", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False))
