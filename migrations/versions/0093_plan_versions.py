"""Versions of a plan: what it is sold for never changes for an account that is on it.

`plans` goes on holding the newest version, for processes of the version before this one, which read and write nothing
else: triggers number and store each version, whoever writes it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0093"
down_revision = "0092"

CONTENT = (
    *("name", "description", "price", "currency", "monthly_quota", "is_overage_allowed"),
    *("failure_policy", "limits", "tariff"),
)
IS_STAFF = "current_setting('portal.is_staff', true) = 'on'"
NEW, OLD = (f"({', '.join(f'{row}.{column}' for column in CONTENT)})" for row in ("NEW", "OLD"))
COLUMNS = ", ".join(CONTENT)
NUMBER = f"""
CREATE FUNCTION number_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.version := 1;
        NEW.rank := coalesce(NEW.rank, (SELECT coalesce(max(rank), 0) + 1 FROM plans));
    ELSE
        NEW.version := OLD.version + CASE WHEN {NEW} IS DISTINCT FROM {OLD} THEN 1 ELSE 0 END;
    END IF;
    RETURN NEW;
END $$
"""  # noqa: S608  # fixed names of our own
STORE = f"""
CREATE FUNCTION store_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO plan_versions (plan_id, version, created_at, {COLUMNS})
    VALUES (NEW.id, NEW.version, CASE WHEN NEW.version = 1 THEN NEW.created_at ELSE clock_timestamp() END,
            {", ".join(f"NEW.{column}" for column in CONTENT)})
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""  # noqa: S608  # fixed names of our own
BACKFILL = f"""
INSERT INTO plan_versions (plan_id, version, created_at, {COLUMNS}) SELECT id, 1, created_at, {COLUMNS} FROM plans
"""  # noqa: S608  # fixed names of our own
RANK = """
UPDATE plans SET rank = ranked.rank
FROM (SELECT id, row_number() OVER (ORDER BY position, id) AS rank FROM plans) ranked WHERE ranked.id = plans.id
"""


def upgrade() -> None:
    op.add_column("plans", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("plans", sa.Column("rank", sa.Integer(), nullable=True))
    op.add_column("plans", sa.Column("visibility", sa.String(), server_default="public", nullable=False))
    op.add_column("plans", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("plan_choices", sa.Column("version", sa.Integer(), nullable=True))
    op.execute(RANK)
    op.create_unique_constraint("plans_rank_key", "plans", ["rank"])
    op.create_table(
        "plan_versions",
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("price", sa.Numeric(20, 6), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("monthly_quota", sa.BigInteger(), nullable=True),
        sa.Column("is_overage_allowed", sa.Boolean(), nullable=False),
        sa.Column("failure_policy", sa.String(), nullable=False),
        sa.Column("limits", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("tariff", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"]),
        sa.PrimaryKeyConstraint("plan_id", "version"),
    )
    op.execute(BACKFILL)
    op.execute(NUMBER)
    op.execute(STORE)
    each = "ON plans FOR EACH ROW EXECUTE FUNCTION"
    op.execute(f"CREATE TRIGGER number_version BEFORE INSERT OR UPDATE {each} number_plan_version()")
    op.execute(f"CREATE TRIGGER store_version AFTER INSERT OR UPDATE {each} store_plan_version()")
    for table in ("plans", "plan_versions"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO portal_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY everybody_reads ON {table} FOR SELECT TO portal_app USING (true)")
        op.execute(f"CREATE POLICY staff_adds ON {table} FOR INSERT TO portal_app WITH CHECK ({IS_STAFF})")
        op.execute(f"CREATE POLICY staff_changes ON {table} FOR UPDATE TO portal_app USING ({IS_STAFF})")
        op.execute(f"CREATE POLICY everything ON {table} TO portal_system, portal_reader, CURRENT_USER USING (true)")
    op.execute("REVOKE UPDATE, DELETE ON plan_versions FROM portal_app, portal_system")
