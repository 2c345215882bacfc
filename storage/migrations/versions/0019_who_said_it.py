"""Note who named a room, so that their words go when they are erased."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("rooms", sa.Column("named_by", sa.String(), server_default="", nullable=False))
    # As far as it can be told: whoever made a room named it, and appeals are by whom the case concerns.
    op.execute(
        "UPDATE rooms SET named_by = coalesce(json_extract(created, '$.sender'), '')"
        " WHERE name <> '' AND json_valid(created)"
    )
    op.execute("UPDATE cases SET appellant = subject WHERE appeal <> '' AND appellant = ''")
