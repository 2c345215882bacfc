"""Add a table for the settings of rooms."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "room_settings",
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("setting", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("room", "setting"),
    )
