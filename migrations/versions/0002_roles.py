"""Roles and row-level security: the second wall between tenants.

`portal_app` sees the rows of the account that the transaction names in the setting portal.account_id; `portal_system`
(workers, sign-in, the check's look-ups) sees all; `portal_reader` reads all and writes nothing. None owns a table.
The migrating role becomes a member of the three, so that one log-in can act as each.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

ROLES = ("portal_app", "portal_system", "portal_reader")
TENANT_TABLES = (
    "memberships",
    "sessions",
    "personal_tokens",
    "audit_events",
    "subscriptions",
    "keys",
    "key_secrets",
    "usage_events",
    "usage_minutes",
    "usage_quarters",
    "usage_days",
    "usage_periods",
    "secret_uses",
)
CREATE_ROLE = """
DO $$ BEGIN CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""
OWN_ACCOUNT = "current_setting('portal.account_id', true)"
SHARED_TABLES = ("people", "plans")


def upgrade() -> None:
    for role in ROLES:
        op.execute(CREATE_ROLE.format(role=role))
        op.execute(f"GRANT {role} TO CURRENT_USER")
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO portal_reader")
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO portal_reader")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO portal_system")
    op.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO portal_system"
    )
    op.execute("GRANT TEMPORARY ON DATABASE " + _database() + " TO portal_system")
    for table in TENANT_TABLES:
        _confine(table, "account_id")
    _confine("accounts", "id")
    op.execute(f"GRANT SELECT ON {', '.join(SHARED_TABLES)} TO portal_app")
    op.execute("GRANT INSERT ON outbox TO portal_app")
    op.execute("REVOKE UPDATE, DELETE ON audit_events FROM portal_app, portal_system")


def _confine(table: str, column: str) -> None:
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO portal_app")
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_account ON {table} TO portal_app USING ({column} = {OWN_ACCOUNT})")
    op.execute(f"CREATE POLICY every_account ON {table} TO portal_system, portal_reader, CURRENT_USER USING (true)")


def _database() -> str:
    name: str = op.get_bind().exec_driver_sql("SELECT quote_ident(current_database())").scalar_one()
    return name
