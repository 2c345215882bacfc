"""Keep in which era of its log the record was named that a learnt one changes, and the eras of this log.

How many records this log went on from is not known here: whatever was named before counts as kept, as it did so far.
"""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"


def upgrade() -> None:
    op.add_column("learnt", sa.Column("of_era", sa.String(), nullable=False, server_default="-"))
    op.execute('UPDATE learnt SET of_era = era WHERE "of" = origin')
    op.execute("INSERT INTO meta (key, value) SELECT 'eras', value || '=9007199254740991' FROM meta WHERE key = 'era'")
