"""Keep where and how far somebody is spared by a policy list. Nothing could be in the table before."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    op.drop_table("list_spared")
    op.create_table(
        "list_spared",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("reach", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("list_spared_by_person", "list_spared", ["person", "list"], unique=False)
