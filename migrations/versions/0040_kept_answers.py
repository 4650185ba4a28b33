"""Kept answers: a mutation that is sent again with the same idempotency key is answered from here."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0030"


def upgrade() -> None:
    op.create_table(
        "kept_answers",
        sa.Column("account_id", sa.String(), sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("name_digest", sa.LargeBinary(), primary_key=True),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_kept_answers_created", "kept_answers", ["created_at"])
    own_account = "account_id = current_setting('portal.account_id', true)"
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON kept_answers TO portal_app")
    op.execute("ALTER TABLE kept_answers ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE kept_answers FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_account ON kept_answers TO portal_app USING ({own_account})")
    everyone = "portal_system, portal_reader, CURRENT_USER"
    op.execute(f"CREATE POLICY every_account ON kept_answers TO {everyone} USING (true)")
