"""Keep what kind an old event is of, for when it comes back. Those that left before count as messages, as they did."""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"


def upgrade() -> None:
    op.add_column("old_events", sa.Column("kind", sa.String(), nullable=False, server_default=""))
