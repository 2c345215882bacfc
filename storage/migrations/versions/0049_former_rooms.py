"""Keep in which rooms a group was before upgrades; those of before this version are not known."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    op.create_table(
        "former_rooms",
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("room"),
    )
