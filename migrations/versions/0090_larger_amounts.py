"""Amounts of invoices with 32 digits before the point, so that whatever a tariff may say can be stored.

A wider numeric of the same scale rewrites no row. Processes of the version before read and write it as ever.
"""

from alembic import op

revision = "0090"
down_revision = "0081"

AMOUNTS = {"invoices": ("subtotal", "tax", "total"), "invoice_lines": ("amount", "price")}


def upgrade() -> None:
    for table, columns in AMOUNTS.items():
        changes = ", ".join(f"ALTER COLUMN {column} TYPE numeric(38, 6)" for column in columns)
        op.execute(f"ALTER TABLE {table} {changes}")
