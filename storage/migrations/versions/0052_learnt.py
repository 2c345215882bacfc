"""Keep what was learnt from the logs of other shards. There were none before."""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"

TEXTS = ("origin", "era", "root", "what", "why", "method", "vkey")
COLUMNS = (
    "origin",
    "era",
    "idx",
    "record",
    "position",
    "size",
    "root",
    "refers",
    "waits",
    "what",
    "made",
    "until",
    "why",
    "method",
)


def upgrade() -> None:
    op.create_table("learnt", *map(_column, COLUMNS), sa.PrimaryKeyConstraint("origin", "era", "idx"))
    op.create_index("learnt_by_record", "learnt", ["record"], unique=False)
    op.create_index("learnt_that_waits", "learnt", ["origin", "refers", "waits"], unique=False)
    op.create_table("shard_keys", *map(_column, ("origin", "vkey", "record")), sa.PrimaryKeyConstraint("origin"))


def _column(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String() if name in TEXTS else sa.Integer(), nullable=False)
