"""Billing periods are stored, and an account's time zone can be changed from the next one on.

The current and the next period of each account get the ends that processes of the version before derive, so that no
boundary moves. Those go on deriving them, and agree as long as nobody changes a zone.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from alembic import op

revision = "0094"
down_revision = "0093"

TABLE = "billing_periods"
OWN_ACCOUNT = "current_setting('portal.account_id', true)"
ZONES = "SELECT DISTINCT time_zone FROM accounts"
STORE = sa.text("""
INSERT INTO billing_periods (account_id, name, time_zone, starts_at, ends_at)
SELECT id, :name, time_zone, :starts_at, :ends_at FROM accounts WHERE time_zone = :zone
""")


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name"),
    )
    _store_periods()
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {TABLE} TO portal_app")
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_account ON {TABLE} TO portal_app USING (account_id = {OWN_ACCOUNT})")
    op.execute(f"CREATE POLICY every_account ON {TABLE} TO portal_system, portal_reader, CURRENT_USER USING (true)")
    # Last, since whoever writes accounts waits from here on.
    op.create_foreign_key(f"{TABLE}_account_id_fkey", TABLE, "accounts", ["account_id"], ["id"])
    op.add_column("accounts", sa.Column("next_time_zone", sa.String(), nullable=True))
    op.add_column("accounts", sa.Column("next_time_zone_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("time_zone_chosen_at", sa.DateTime(timezone=True), nullable=True))


def _store_periods() -> None:
    """Store two periods of each account, a zone at a time. Accounts opened meanwhile get theirs from billing."""
    connection = op.get_bind()
    now = connection.execute(sa.text("SELECT now()")).scalar_one()
    for (name,) in connection.execute(sa.text(ZONES)).all():
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue  # No version could bill it.
        local = now.astimezone(zone)
        current = local.year, local.month
        for year, month in (current, _following(*current)):
            starts, ends = datetime(year, month, 1, tzinfo=zone), datetime(*_following(year, month), 1, tzinfo=zone)
            values = {"name": f"{year:04d}-{month:02d}", "zone": name}
            connection.execute(STORE, {**values, "starts_at": starts.astimezone(UTC), "ends_at": ends.astimezone(UTC)})


def _following(year: int, month: int) -> tuple[int, int]:
    return year + month // 12, month % 12 + 1
