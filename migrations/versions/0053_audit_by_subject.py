"""What was done to one object is found without reading the whole chain."""

from alembic import op

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    op.create_index("ix_audit_events_subject", "audit_events", ["account_id", "subject", "sequence"])
