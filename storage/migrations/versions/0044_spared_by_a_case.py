"""Keep which case says that a policy list no longer touches somebody. No case said so before."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"

COLUMNS = ("record", "list", "room", "reach", "n", "subject", "person", "at")


def upgrade() -> None:
    connection = op.get_bind()
    rows = connection.exec_driver_sql("SELECT record, list, room, reach, 0, subject, person, at FROM list_spared").all()
    op.drop_table("list_spared")
    numbers = ("record", "n", "at")
    made = op.create_table(
        "list_spared",
        *(sa.Column(name, sa.Integer() if name in numbers else sa.String(), nullable=False) for name in COLUMNS),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("list_spared_by_person", "list_spared", ["person", "list"], unique=False)
    if rows:
        op.bulk_insert(made, [dict(zip(COLUMNS, row, strict=True)) for row in rows])
