"""Invoices with their lines, numbers without gaps, and how far each account is billed.

Accounts that are here already are billed from the current month on: what they used before stays as it was settled.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0073"
down_revision = "0072"

OWN_ACCOUNT = "current_setting('portal.account_id', true)"
TENANT_TABLES = ("invoices", "invoice_lines", "billing_accounts")
WRITTEN_ONCE = ("invoices", "invoice_lines")
FIRST_MONTH = """
INSERT INTO billing_accounts (account_id, first_period, next_period, next_at)
SELECT id, to_char(month, 'YYYY-MM'), to_char(month, 'YYYY-MM'), (month + interval '1 month') AT TIME ZONE time_zone
FROM (SELECT id, time_zone, date_trunc('month', now() AT TIME ZONE time_zone) AS month FROM accounts) account
"""


def upgrade() -> None:
    _create_invoices()
    _create_lines()
    op.create_table(
        "invoice_numbers",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("year"),
    )
    op.create_table(
        "billing_accounts",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("first_period", sa.String(), nullable=False),
        sa.Column("next_period", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_index("ix_billing_accounts_next_at", "billing_accounts", ["next_at", "account_id"])
    op.execute(FIRST_MONTH)
    for table in TENANT_TABLES:
        op.execute(f"GRANT SELECT ON {table} TO portal_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_account ON {table} TO portal_app USING (account_id = {OWN_ACCOUNT})")
        op.execute(f"CREATE POLICY every_account ON {table} TO portal_system, portal_reader, CURRENT_USER USING (true)")
    op.execute(f"REVOKE UPDATE, DELETE ON {', '.join(WRITTEN_ONCE)} FROM portal_system")


def _create_invoices() -> None:
    op.create_table(
        "invoices",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("subtotal", sa.Numeric(20, 6), nullable=False),
        sa.Column("tax", sa.Numeric(20, 6), nullable=False),
        sa.Column("total", sa.Numeric(20, 6), nullable=False),
        sa.Column("inputs", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("finalized_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "period"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("ix_invoices_account_finalized", "invoices", ["account_id", "finalized_at", "id"])


def _create_lines() -> None:
    op.create_table(
        "invoice_lines",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=True),
        sa.Column("amount", sa.Numeric(20, 6), nullable=False),
        sa.Column("parts", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.Column("tax_percent", sa.Numeric(), nullable=True),
        sa.Column("price", sa.Numeric(20, 6), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"]),
        sa.PrimaryKeyConstraint("account_id", "invoice_id", "position"),
    )
