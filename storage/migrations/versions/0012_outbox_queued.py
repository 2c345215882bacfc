"""Note when a row of the outbox was queued."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("queued", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("outbox_by_time", "outbox", ["not_before"], unique=False)
