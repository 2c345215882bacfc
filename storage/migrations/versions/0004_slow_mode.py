"""Add what slow mode needs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("sanctions", sa.Column("every", sa.Integer(), server_default="0", nullable=False))
    op.create_index("sanctions_by_room", "sanctions", ["room", "kind", "ended"])
    op.create_index("sanctions_by_event", "sanctions", ["event"])
