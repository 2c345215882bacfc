"""Note the message in the desk that says what the bot can do in its group."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("rooms", sa.Column("introduced", sa.String(), nullable=False, server_default=""))
