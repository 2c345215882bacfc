"""Note which desk shows the cases of each group, and who took on the duty in a room."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

_EACH_ITS_OWN = """
    UPDATE rooms SET desk = coalesce((
        SELECT desks.code FROM rooms AS desks WHERE desks.purpose = 'desk' AND desks.served = rooms.code
        ORDER BY desks.condition = 'left', desks.entered LIMIT 1
    ), '') WHERE purpose = 'group'
"""


def upgrade() -> None:
    op.add_column("rooms", sa.Column("desk", sa.String(), server_default="", nullable=False))
    op.create_index("rooms_by_desk", "rooms", ["desk"], unique=False)
    op.create_table(
        "desk_groups",
        sa.Column("desk", sa.String(), nullable=False),
        sa.Column("served", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("desk", "served"),
    )
    op.create_table(
        "duty_accepted",
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("room", "user"),
    )
    op.execute(_EACH_ITS_OWN)
    op.execute("INSERT INTO desk_groups SELECT code, served, entered, 0 FROM rooms WHERE purpose = 'desk'")
