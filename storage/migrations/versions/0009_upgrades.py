"""Note the successor of an upgraded room."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("rooms", sa.Column("successor", sa.String(), server_default="", nullable=False))
