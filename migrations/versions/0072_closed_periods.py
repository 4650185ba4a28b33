"""When a billing period was closed, and how much of it is on invoices."""

import sqlalchemy as sa
from alembic import op

revision = "0072"
down_revision = "0071"


def upgrade() -> None:
    op.add_column("usage_periods", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("usage_periods", sa.Column("billed", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
