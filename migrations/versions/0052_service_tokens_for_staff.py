"""Service tokens belong to the provider: an account's transaction sees them only while staff acts."""

from alembic import op

revision = "0052"
down_revision = "0051"

IS_STAFF = "current_setting('portal.is_staff', true) = 'on'"


def upgrade() -> None:
    op.execute("GRANT SELECT, INSERT, UPDATE ON service_tokens TO portal_app")
    op.execute("ALTER TABLE service_tokens ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE service_tokens FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY staff_only ON service_tokens TO portal_app USING ({IS_STAFF})")
    op.execute("CREATE POLICY everything ON service_tokens TO portal_system, portal_reader, CURRENT_USER USING (true)")
