"""Which resources have buckets of their own: a thousand a day and account; those that are counted already stay so."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0011"
down_revision = "0010"

TABLE = "usage_resources"
OWN_ACCOUNT = "current_setting('portal.account_id', true)"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("names", ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "day"),
    )
    op.execute(f"""INSERT INTO {TABLE} (account_id, day, names)
        SELECT account_id, (bucket_at AT TIME ZONE 'UTC')::date, array_agg(DISTINCT resource)
        FROM usage_days GROUP BY 1, 2""")  # noqa: S608  # a fixed name of our own
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLE} TO portal_app")
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_account ON {TABLE} TO portal_app USING (account_id = {OWN_ACCOUNT})")
    op.execute(f"CREATE POLICY every_account ON {TABLE} TO portal_system, portal_reader, CURRENT_USER USING (true)")
