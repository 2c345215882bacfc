"""Note who has taken a case and when its deadline was put off, and find cases by their messages."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("cases", sa.Column("claimed", sa.String(), nullable=False, server_default=""))
    op.add_column("cases", sa.Column("extended", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("evidence_by_event", "evidence", ["event"], unique=False)
