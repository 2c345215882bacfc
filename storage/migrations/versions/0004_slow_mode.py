"""Add what slow mode needs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sanctions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("every", sa.Integer(), server_default="0", nullable=False))
        batch_op.create_index("sanctions_by_room", ["room", "kind", "ended"], unique=False)
        batch_op.create_index("sanctions_by_event", ["event"], unique=False)
