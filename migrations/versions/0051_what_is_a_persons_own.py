"""What is a person's own is theirs in every account: memberships, the accounts' names, sessions.

A session that switches to another account may go only where its person is a member, whatever the statement says; and
sessions and tokens are shown to their person alone, not to others of the same account.
"""

from alembic import op

revision = "0051"
down_revision = "0050"

POLICIES = """
CREATE POLICY own_person ON memberships FOR SELECT TO portal_app
    USING (person_id = current_setting('portal.person_id', true));
CREATE POLICY own_person ON accounts FOR SELECT TO portal_app
    USING (EXISTS (SELECT 1 FROM memberships m
        WHERE m.account_id = accounts.id AND m.person_id = current_setting('portal.person_id', true)));
CREATE POLICY own_person ON sessions TO portal_app
    USING (person_id = current_setting('portal.person_id', true))
    WITH CHECK (person_id = current_setting('portal.person_id', true) AND EXISTS (SELECT 1 FROM memberships m
        WHERE m.account_id = sessions.account_id AND m.person_id = sessions.person_id));
CREATE POLICY only_own ON sessions AS RESTRICTIVE TO portal_app
    USING (person_id = current_setting('portal.person_id', true));
CREATE POLICY only_own ON personal_tokens AS RESTRICTIVE TO portal_app
    USING (person_id = current_setting('portal.person_id', true))
"""


def upgrade() -> None:
    for policy in POLICIES.split(";"):
        op.execute(policy)
