"""whoever appeals does not decide; notices come from outside, with an address to answer"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("cases") as cases:
        cases.add_column(sa.Column("appellant", sa.String, nullable=False, server_default=""))
    with op.batch_alter_table("reports") as reports:
        reports.add_column(sa.Column("channel", sa.String, nullable=False, server_default="member"))
        reports.add_column(sa.Column("contact", sa.Text, nullable=False, server_default=""))
