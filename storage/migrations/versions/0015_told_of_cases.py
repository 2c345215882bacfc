"""Note who was told of a case: nobody else is late with it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

# As the records of what was asked before show it: the card stands in the desk, whoever is above managers was told.
_TOLD = """
UPDATE assignments SET told = 1 WHERE asked != 'managers' OR EXISTS (
    SELECT 1 FROM cases
    JOIN rooms AS groups ON groups.room = cases.room
    JOIN rooms AS desks ON desks.purpose = 'desk' AND desks.served = groups.code
    JOIN members ON members.room = desks.room AND members.user = assignments.user AND members.membership = 'join'
    WHERE cases.n = assignments.n AND cases.card != ''
)
"""


def upgrade() -> None:
    op.add_column("assignments", sa.Column("told", sa.Integer(), server_default="0", nullable=False))
    op.execute(_TOLD)
