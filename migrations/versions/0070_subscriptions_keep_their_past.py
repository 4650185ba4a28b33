"""Every choice of a plan stays, so that what an account owes can be told for any day."""

from alembic import op

revision = "0070"
down_revision = "0062"


def upgrade() -> None:
    op.execute("ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_pkey")
    op.execute("ALTER TABLE subscriptions ADD PRIMARY KEY (account_id, started_at)")
