"""The version of the plan that an invoice line is about. Processes of the version before leave it empty."""

import sqlalchemy as sa
from alembic import op

revision = "0091"
down_revision = "0090"


def upgrade() -> None:
    op.add_column("invoice_lines", sa.Column("plan_version", sa.Integer(), nullable=True))
