"""Note who named a room, so that their words go when they are erased."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rooms", sa.Column("named_by", sa.String(), server_default="", nullable=False))
    # The best guess for earlier rows: the creator of a room named it, and the person a case is about appealed.
    op.execute(
        "UPDATE rooms SET named_by = coalesce(json_extract(created, '$.sender'), '')"
        " WHERE name <> '' AND json_valid(created)"
    )
    op.execute("UPDATE cases SET appellant = subject WHERE appeal <> '' AND appellant = ''")
