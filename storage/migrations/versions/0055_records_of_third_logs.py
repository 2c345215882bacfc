"""Keep in which log the record stands that a learnt one changes: so far always in the log that it was learnt from."""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"


def upgrade() -> None:
    op.add_column("learnt", sa.Column("of", sa.String(), nullable=False, server_default="-"))
    op.execute('UPDATE learnt SET "of" = origin')
    op.drop_index("learnt_that_waits", table_name="learnt")
    op.create_index("learnt_that_waits", "learnt", ["of", "refers", "waits"], unique=False)
