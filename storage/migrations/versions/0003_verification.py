"""Add tables and columns for verification."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_table(
        "pinned_keys",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user"),
    )
    op.create_table(
        "link_requests",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("lapses", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), server_default="", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("user"),
    )
    op.add_column("rooms", sa.Column("asked", sa.Integer(), server_default="0", nullable=False))
    op.add_column("members", sa.Column("since", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE members SET since = 1 WHERE membership = 'join'")  # when they came is not known any more
    op.create_table(
        "pointed",
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("room", "user", "step"),
    )
    op.create_index("pointed_by_user", "pointed", ["user"])
    op.create_table(
        "challenges",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("poll", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("user"),
    )
    op.create_table(
        "challenge_attempts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("about", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("challenge_attempts_by_time", "challenge_attempts", ["at"])
