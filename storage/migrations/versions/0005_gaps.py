"""Add tables for gaps: rooms in which something is still to be read."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "gaps",
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("until", sa.String(), server_default="", nullable=False),
        sa.Column("since", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bottom", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("room"),
    )
    op.create_table(
        "gap_pages",
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("start", sa.Text(), nullable=False),
        sa.Column("stop", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("room", "n"),
    )
    op.create_table(
        "gap_events",
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event"),
    )
    op.create_index("gap_events_by_room", "gap_events", ["room"])
