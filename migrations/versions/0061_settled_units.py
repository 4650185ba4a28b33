"""What settlements have added to a period's units, so that Redis can be told both apart."""

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    op.add_column("usage_periods", sa.Column("settled", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
