"""Add a table for the rules of rooms."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "room_rules",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), server_default="", nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("room_rules_by_room", "room_rules", ["room", "ended"])
