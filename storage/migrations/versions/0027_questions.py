"""Keep the questions in desks that are answered by a reaction."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.create_table(
        "questions",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("made", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("cases", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("questions_by_event", "questions", ["made"], unique=False)
