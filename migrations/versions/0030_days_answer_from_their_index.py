"""The key of day buckets carries their figures: a year of an account is read from its index alone.

A day's rows of one account lie scattered among those of all others, a page each; in the index they are neighbours.
"""

from alembic import op

revision = "0030"
down_revision = "0020"

KEY = "account_id, bucket_at, key_id, environment, resource, outcome"


def upgrade() -> None:
    op.execute("ALTER TABLE usage_days DROP CONSTRAINT usage_days_pkey")
    op.execute(f"ALTER TABLE usage_days ADD PRIMARY KEY ({KEY}) INCLUDE (calls, units)")
