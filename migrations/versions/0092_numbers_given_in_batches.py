"""Invoices are written without a number, which a numberer gives to many at once; and how the billing of accounts fares.

A process of the version before goes on numbering by itself, under the same lock of the year: the series is one. It
never sees an invoice that has no number yet, since nobody who reads for an account does.
"""

import sqlalchemy as sa
from alembic import op

revision = "0092"
down_revision = "0091"

OWN_NUMBERED = "account_id = current_setting('portal.account_id', true) AND number IS NOT NULL"


def upgrade() -> None:
    op.alter_column("invoices", "number", nullable=True)
    op.create_index(
        "ix_invoices_unnumbered", "invoices", ["finalized_at", "id"], postgresql_where=sa.text("number IS NULL")
    )
    op.execute(f"ALTER POLICY own_account ON invoices USING ({OWN_NUMBERED})")
    # The only change that an invoice ever sees, once; the rest of it stays as nobody's to update.
    op.execute("GRANT UPDATE (number, finalized_at) ON invoices TO portal_system")
    op.execute(
        "CREATE POLICY numbered_once ON invoices AS RESTRICTIVE FOR UPDATE TO portal_system"
        " USING (number IS NULL) WITH CHECK (number IS NOT NULL)"
    )
    for column in ("billed_at", "failing_since"):
        op.add_column("billing_accounts", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
        op.create_index(
            f"ix_billing_accounts_{column}",
            "billing_accounts",
            [column],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
