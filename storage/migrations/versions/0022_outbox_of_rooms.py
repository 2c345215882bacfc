"""Index waiting rows of the outbox by room, so that rooms can take turns."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_index("outbox_of_rooms", "outbox", ["priority", "room", "not_before", "id"])
