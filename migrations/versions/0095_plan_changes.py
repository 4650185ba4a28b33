"""What a choice of a plan was: at once or with the next period, and what had been used before it.

Processes of the version before write choices without any of it, and read the plan that an account is on from the
columns that there were.
"""

import sqlalchemy as sa
from alembic import op

revision = "0095"
down_revision = "0094"


def upgrade() -> None:
    for column in (
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("used_before", sa.BigInteger(), nullable=True),
        sa.Column("takes_effect_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plan_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_plan_id", sa.String(), sa.ForeignKey("plans.id"), nullable=True),
        sa.Column("next_version", sa.Integer(), nullable=True),
    ):
        op.add_column("plan_choices", column)
