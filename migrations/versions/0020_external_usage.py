"""Ids of external usage, each of which is counted once."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0012"

OWN_ACCOUNT = "current_setting('portal.account_id', true)"


def upgrade() -> None:
    op.create_table(
        "external_events",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("service_id", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "source", "event_id"),
    )
    op.create_index("ix_external_events_occurred", "external_events", ["occurred_at"])
    op.execute("GRANT SELECT ON external_events TO portal_app")
    op.execute("ALTER TABLE external_events ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE external_events FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_account ON external_events TO portal_app USING (account_id = {OWN_ACCOUNT})")
    op.execute(
        "CREATE POLICY every_account ON external_events TO portal_system, portal_reader, CURRENT_USER USING (true)"
    )
