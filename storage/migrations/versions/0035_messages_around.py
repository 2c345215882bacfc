"""Index the events of a room by their kind, in the order of the records: messages around one are found at once."""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.create_index("events_by_kind", "events", ["room", "kind"], unique=False)
