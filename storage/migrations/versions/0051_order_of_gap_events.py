"""Number the events delivered for rooms that are behind, whose order was that of the rows, which only SQLite knows."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    op.add_column("gap_events", sa.Column("n", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE gap_events SET n = rowid")
