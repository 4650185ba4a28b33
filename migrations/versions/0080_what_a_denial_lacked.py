"""What a denied check lacked: limits, scopes, the caller's address.

Null for all that was counted before and by workers of the version before. Adding it rewrites nothing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0080"
down_revision = "0073"


def upgrade() -> None:
    op.add_column("usage_events", sa.Column("denial", JSONB(), nullable=True))
