"""Forget what older versions kept of erased people in cases: the words of their appeals, and rows of their messages."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE cases SET appeal = '' WHERE appellant = ''")
    op.execute("DELETE FROM evidence WHERE event = ''")
