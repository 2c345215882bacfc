"""Show several cases that rest on one member's reports on one card."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    with op.batch_alter_table("cases") as cases:
        cases.add_column(sa.Column("lead", sa.Integer, nullable=False, server_default="0"))
    op.create_index("cases_by_lead", "cases", ["lead"], unique=False)
