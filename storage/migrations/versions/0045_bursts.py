"""Keep with which cases a case is shown on one card, and that card."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    with op.batch_alter_table("cases") as cases:
        cases.add_column(sa.Column("burst", sa.Integer(), nullable=False, server_default="0"))
        cases.add_column(sa.Column("burst_card", sa.String(), nullable=False, server_default=""))
    op.create_index("cases_by_burst", "cases", ["burst"], unique=False)
    op.create_index("cases_by_room", "cases", ["room", "opened"], unique=False)
