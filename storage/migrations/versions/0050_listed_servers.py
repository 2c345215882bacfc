"""Keep which servers policy lists meant, and which of them people here spared. Nothing of both was known before."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"

COLUMNS = ("record", "list", "room", "reach", "n", "subject", "person", "server", "at")
NUMBERS = ("record", "n", "people", "at")


def upgrade() -> None:
    op.create_table(
        "listed_servers",
        *map(_column, ("record", "list", "server", "key", "advice", "step", "n", "room", "people", "author")),
        sa.Column("reason", sa.Text(), nullable=False),
        _column("at"),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("listed_servers_by_server", "listed_servers", ["server", "list"], unique=False)
    op.create_index("listed_servers_by_case", "listed_servers", ["n"], unique=False)
    connection = op.get_bind()
    kept = "SELECT record, list, room, reach, n, subject, person, '', at FROM list_spared"
    rows = connection.exec_driver_sql(kept).all()
    op.drop_table("list_spared")
    made = op.create_table("list_spared", *map(_column, COLUMNS), sa.PrimaryKeyConstraint("record"))
    op.create_index("list_spared_by_person", "list_spared", ["person", "list"], unique=False)
    op.create_index("list_spared_by_server", "list_spared", ["server", "list"], unique=False)
    if rows:
        op.bulk_insert(made, [dict(zip(COLUMNS, row, strict=True)) for row in rows])


def _column(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer() if name in NUMBERS else sa.String(), nullable=False)
