"""Note who appeals, since they do not decide; where notices come from; and each decision, for figures."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    with op.batch_alter_table("cases") as cases:
        cases.add_column(sa.Column("appellant", sa.String, nullable=False, server_default=""))
    with op.batch_alter_table("reports") as reports:
        reports.add_column(sa.Column("channel", sa.String, nullable=False, server_default="member"))
        reports.add_column(sa.Column("contact", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "decisions",
        sa.Column("record", sa.Integer, primary_key=True, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
    )
    op.create_index("decisions_by_case", "decisions", ["n"], unique=False)
    op.create_index("decisions_by_time", "decisions", ["at"], unique=False)
