"""Find by an index which room a tombstone names as its successor."""

from alembic import op

revision = "0057"
down_revision = "0056"


def upgrade() -> None:
    op.create_index("rooms_by_successor", "rooms", ["successor"], unique=False)
