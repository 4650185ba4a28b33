"""Ids of external usage, each counted once; and usage events of an instant at which none can be counted."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0005"

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
    op.create_table(
        "usage_strays",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "request_id"),
    )
    for table in ("external_events", "usage_strays"):
        op.execute(f"GRANT SELECT ON {table} TO portal_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_account ON {table} TO portal_app USING (account_id = {OWN_ACCOUNT})")
        op.execute(f"CREATE POLICY every_account ON {table} TO portal_system, portal_reader, CURRENT_USER USING (true)")
