"""Keep which policy lists are watched, what they say, whom they meant, and who is spared."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    op.create_table(
        "chosen_lists",
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("list_room", sa.String(), nullable=False),
        sa.Column("trust", sa.String(), nullable=False),
        sa.Column("reach", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("list"),
    )
    op.create_table(
        "list_matches",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("of", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("advice", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("list_matches_by_case", "list_matches", ["n"], unique=False)
    op.create_index("list_matches_by_person", "list_matches", ["person", "list"], unique=False)
    op.create_table(
        "list_spared",
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("list", "person"),
    )
    op.create_table(
        "list_entries",
        sa.Column("list_room", sa.String(), nullable=False),
        sa.Column("of", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("advice", sa.String(), nullable=False),
        sa.Column("recommendation", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("list_room", "of", "key"),
    )
