"""Note of each member by which record they were last invited."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from moderation.values.errors import Broken
from storage.journal.line_format import decode
from storage.journal.query import Query, last
from storage.journal.record import Record

revision = "0043"
down_revision = "0042"

KINDS = frozenset({"leave"})  # an invitation is of this kind
INVITED = "UPDATE members SET invited = ? WHERE user = ? AND room = (SELECT room FROM rooms WHERE code = ?)"


def upgrade() -> None:
    """Add the column, and fill it up to the last record that the database has applied."""
    op.add_column("members", sa.Column("invited", sa.Integer(), nullable=False, server_default="0"))
    connection = op.get_bind()
    applied = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'applied'").scalar()
    file = connection.exec_driver_sql("PRAGMA database_list").all()[0].file  # main, not temp
    if applied is None or not file:
        return
    invited: dict[tuple[str, str], int] = {}
    try:
        for record in map(decode, last(Path(file).parent / "records", Query(kinds=KINDS), 0)):
            if record.index < int(applied) and record.fields.get("membership") == "invite":
                invited[record.group or "", _who(record)] = record.index
    except Broken:  # a damaged day; `answerable logs verify` names it, and the bot starts all the same
        return
    for (code, user), index in invited.items():
        connection.exec_driver_sql(INVITED, (index, user, code))


def _who(record: Record) -> str:
    """Return who was invited; "" if that was erased."""
    return next((str(part.get("mxid") or "") for part in record.parts if part.get("as") == "target"), "")
