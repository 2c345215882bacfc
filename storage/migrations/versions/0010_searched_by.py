"""Add indexes so that the queries for each message read no whole table."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("cases_by_remind", "cases", ["remind"], unique=False)
    op.create_index("rooms_by_served", "rooms", ["served"], unique=False)
    op.create_index("rooms_by_direct", "rooms", ["direct_with"], unique=False)
