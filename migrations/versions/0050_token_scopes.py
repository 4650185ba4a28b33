"""Personal tokens have scopes and say when they were last used; service tokens can be recognised."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0050"
down_revision = "0040"


def upgrade() -> None:
    op.add_column("personal_tokens", sa.Column("scopes", ARRAY(sa.Text()), nullable=True))
    op.add_column("personal_tokens", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("service_tokens", sa.Column("display", sa.String(), server_default="", nullable=False))
