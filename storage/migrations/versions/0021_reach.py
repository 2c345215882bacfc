"""Note how far entries, sanctions and vouches reach, and the community of each room."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    for table in ("credit", "sanctions", "verifications"):  # "": everywhere, as all of it did
        op.add_column(table, sa.Column("reach", sa.String(), server_default="", nullable=False))
    op.add_column("rooms", sa.Column("community", sa.String(), server_default="", nullable=False))
    op.execute("UPDATE rooms SET community = code WHERE purpose = 'group'")  # what the policy says is applied with it
