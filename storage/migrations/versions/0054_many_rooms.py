"""Find by an index what each case and each room asks for: costs of a case, rooms of a community, linked accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"

LINKED = sa.text('"user" != person')


def upgrade() -> None:
    op.create_index("rooms_by_community", "rooms", ["community"], unique=False)
    op.create_index("credit_by_case", "credit", ["n"], unique=False)
    op.create_index(
        "accounts_linked", "accounts", ["user", "person"], unique=False, sqlite_where=LINKED, postgresql_where=LINKED
    )
