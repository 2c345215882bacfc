"""Note who got a link to the web console, and the sessions opened by such links."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.create_table(
        "console_links",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("ticket", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
        sa.UniqueConstraint("ticket"),
    )
    op.create_index("console_links_by_user", "console_links", ["user", "at"], unique=False)
    op.create_table(
        "console_sessions",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("link", sa.Integer(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("record"),
        sa.UniqueConstraint("session"),
        sa.UniqueConstraint("link"),
    )
