"""Note who left while a case waited for them: they still answer for it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("assignments", sa.Column("gone", sa.Integer(), server_default="0", nullable=False))
    op.add_column("assignments", sa.Column("gone_by", sa.String(), server_default="", nullable=False))
    op.add_column("assignments", sa.Column("excused", sa.Integer(), server_default="0", nullable=False))
