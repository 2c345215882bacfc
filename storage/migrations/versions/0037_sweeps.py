"""Note of each sweep from which record on it redacts."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.add_column("sanctions", sa.Column("oldest", sa.Integer(), nullable=False, server_default="0"))
