"""Note which server a room lets in no longer."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    op.add_column("sanctions", sa.Column("server", sa.String(), server_default="", nullable=False))
