"""What usage costs on a plan. Plans that are here already go on charging their monthly price alone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0071"
down_revision = "0070"


def upgrade() -> None:
    op.add_column("plans", sa.Column("tariff", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False))
