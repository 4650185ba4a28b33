"""Where each secret was last used from."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("secret_uses", sa.Column("last_used_address", sa.String(), server_default="", nullable=False))
