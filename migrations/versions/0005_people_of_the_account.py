"""People behind the second wall too: an account sees its members, and of nobody the password's hash."""

from alembic import op

revision = "0005"
down_revision = "0004"

SHOWN = "id, email, name, is_staff, created_at"
IS_MEMBER = """EXISTS (SELECT 1 FROM memberships m
    WHERE m.person_id = people.id AND m.account_id = current_setting('portal.account_id', true))"""


def upgrade() -> None:
    op.execute("REVOKE SELECT ON people FROM portal_app")
    op.execute(f"GRANT SELECT ({SHOWN}) ON people TO portal_app")
    op.execute("ALTER TABLE people ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE people FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_members ON people FOR SELECT TO portal_app USING ({IS_MEMBER})")
    op.execute("CREATE POLICY everybody ON people TO portal_system, portal_reader, CURRENT_USER USING (true)")
