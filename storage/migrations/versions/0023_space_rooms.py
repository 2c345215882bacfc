"""Note which rooms a space lists that the configuration names."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "space_rooms",
        sa.Column("space", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("space", "room"),
    )
    op.create_index("space_rooms_by_room", "space_rooms", ["room"], unique=False)
