"""Note who read what is held on people, so that each reading is recorded once."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), server_default="", nullable=False),
        sa.Column("by", sa.String(), server_default="", nullable=False),
        sa.Column("reader", sa.String(), server_default="", nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("readings_by_note", "readings", ["note"], unique=False)
    op.create_index("readings_by_day", "readings", ["day", "subject"], unique=False)
