"""Base approvals of files on keys and accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("dossier_steps", sa.Column("how", sa.String(), server_default="user", nullable=False))
    op.add_column("dossier_steps", sa.Column("key", sa.String(), server_default="-", nullable=False))
    op.add_column("dossier_steps", sa.Column("command", sa.Integer(), server_default="-1", nullable=False))
    op.create_table(
        "approvers",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("ended", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
