"""Note of each member when they last came in."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    op.add_column("members", sa.Column("joined", sa.Integer(), nullable=False, server_default="0"))
