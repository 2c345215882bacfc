"""Find steps of a case by their kind, and sum the figures of days from an index alone."""

from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.drop_index("case_steps_by_case", "case_steps")
    op.create_index("case_steps_by_case", "case_steps", ["n", "step"], unique=False)
    op.drop_index("daily_by_day", "daily")
    op.create_index("daily_by_day", "daily", ["day", "kind", "count"], unique=False)
