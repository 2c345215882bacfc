"""Keep previews of policy lists, and since when a list is watched."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    op.add_column("chosen_lists", sa.Column("preview", sa.Integer(), nullable=False, server_default="-1"))
    op.add_column("chosen_lists", sa.Column("since", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE chosen_lists SET since = at")
    op.create_table(
        "list_previews",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("list_room", sa.String(), server_default="", nullable=False),
        sa.Column("entered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reach", sa.String(), server_default="", nullable=False),
        sa.Column("entries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("digest", sa.String(), server_default="", nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("list_previews_by_room", "list_previews", ["list_room"], unique=False)
