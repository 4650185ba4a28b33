"""The keys of minutes and quarter-hours carry their figures too, as those of days do since 0030.

Rebuilds their indexes behind a lock, about a minute for ten million rows: checks go on and the journal grows, but
nothing is ingested, and no history of minutes and hours is read, until it is done.
"""

from alembic import op

revision = "0062"
down_revision = "0061"

KEY = "account_id, bucket_at, key_id, environment, resource, outcome"


def upgrade() -> None:
    for table in ("usage_minutes", "usage_quarters"):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        op.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({KEY}) INCLUDE (calls, units)")
