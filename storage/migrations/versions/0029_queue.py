"""Index the cases that wait, and decisions by person, for the queue of the console."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    waits = sa.literal_column("outcome = '' OR state = 'appealed'", sa.Boolean)
    op.create_index("cases_waiting", "cases", ["due"], unique=False, sqlite_where=waits)
    op.create_index("cases_by_decider", "cases", ["by"], unique=False)
    op.create_index("decisions_by_person", "decisions", ["by", "n"], unique=False)
