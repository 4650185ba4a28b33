"""Forms that were sent, so that none acts twice, with the secret that one made, sealed; and what waits for a page.

Both belong to a session and go with it. Processes of the version before know neither and go on without.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0081"
down_revision = "0080"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("page_notes", JSONB(), nullable=True))
    op.create_table(
        "sent_forms",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("session_id", sa.String(), sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("account_id", sa.String(), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_sent_forms_session_id", "sent_forms", ["session_id"])
    op.create_index(
        "ix_sent_forms_sealed", "sent_forms", ["created_at"], postgresql_where=sa.text("sealed IS NOT NULL")
    )
    own_account = "account_id = current_setting('portal.account_id', true)"
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON sent_forms TO portal_app")
    op.execute("ALTER TABLE sent_forms ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE sent_forms FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_account ON sent_forms TO portal_app USING ({own_account})")
    everyone = "portal_system, portal_reader, CURRENT_USER"
    op.execute(f"CREATE POLICY every_account ON sent_forms TO {everyone} USING (true)")
