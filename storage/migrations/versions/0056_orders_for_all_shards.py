"""Keep the bans that were ordered for all rooms of all shards. There were none before."""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"

TEXTS = ("origin", "era", "subject", "person", "by")
COLUMNS = ("record", "origin", "era", "idx", "n", "subject", "person", "by", "at", "until", "ended")


def upgrade() -> None:
    op.create_table("orders", *map(_column, COLUMNS), sa.PrimaryKeyConstraint("record"))
    op.create_index("orders_by_person", "orders", ["person", "ended"], unique=False)
    op.create_index("orders_by_case", "orders", ["n"], unique=False)
    op.create_index("orders_by_place", "orders", ["origin", "idx"], unique=False)


def _column(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String() if name in TEXTS else sa.Integer(), nullable=False)
