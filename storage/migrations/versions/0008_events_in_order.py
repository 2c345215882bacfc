"""Store events in the order of their records."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.drop_index("events_by_sender", table_name="events")
    op.rename_table("events", "events_by_id")
    op.create_table(
        "events",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
        sa.UniqueConstraint("event"),
    )
    op.execute(
        "INSERT INTO events (record, event, room, sender, kind, at) "
        "SELECT record, event, room, sender, kind, at FROM events_by_id ORDER BY record"
    )
    op.drop_table("events_by_id")
    op.create_index("events_by_sender", "events", ["room", "sender", "at"], unique=False)
