"""Every choice of a plan stays, so that what an account owes can be told for any day."""

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0062"

TABLE = "plan_choices"
OWN_ACCOUNT = "current_setting('portal.account_id', true)"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"]),
        sa.PrimaryKeyConstraint("account_id", "chosen_at"),
    )
    op.execute("INSERT INTO plan_choices SELECT account_id, started_at, plan_id FROM subscriptions")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {TABLE} TO portal_app")
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_account ON {TABLE} TO portal_app USING (account_id = {OWN_ACCOUNT})")
    op.execute(f"CREATE POLICY every_account ON {TABLE} TO portal_system, portal_reader, CURRENT_USER USING (true)")
