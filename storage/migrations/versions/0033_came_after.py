"""Note by which record the bot met each member, and by which it began to record each room."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from moderation.values.errors import Broken
from storage.journal.line_format import decode
from storage.journal.query import Query, last
from storage.journal.record import Record

revision = "0033"
down_revision = "0032"

KINDS = frozenset({"join", "leave", "role", "state"})
SEEN = "UPDATE members SET seen = ? WHERE user = ? AND room = (SELECT room FROM rooms WHERE code = ?)"


def upgrade() -> None:
    """Add the columns, and fill them up to the last record that the database has applied."""
    op.add_column("members", sa.Column("seen", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("rooms", sa.Column("begun", sa.Integer(), nullable=False, server_default="0"))
    connection = op.get_bind()
    applied = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'applied'").scalar()
    file = connection.exec_driver_sql("PRAGMA database_list").all()[0].file  # main, not temp
    if applied is None or not file:
        return
    found = FirstSeen()
    try:
        for record in map(decode, last(Path(file).parent / "records", Query(kinds=KINDS), 0)):
            if record.index < int(applied):
                found.take(record)
    except Broken:  # a damaged day; `answerable logs verify` names it, and the bot starts all the same
        return
    for (code, user), index in found.seen.items():
        connection.exec_driver_sql(SEEN, (index, user, code))
    for code, index in found.begun.items():
        connection.exec_driver_sql("UPDATE rooms SET begun = ? WHERE code = ?", (index, code))


class FirstSeen:
    """The first membership of each person in each group, and the last opening of each group."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], int] = {}
        self.begun: dict[str, int] = {}
        self._conditions: dict[str, object] = {}

    def take(self, record: Record) -> None:
        """Read one record; they come in order."""
        if record.kind == "state":
            self._state(record, record.fields.get("what"))
        elif user := _member(record):
            # A role can be known first: then nobody knows when they came.
            self.seen.setdefault((record.group or "", user), 0 if record.kind == "role" else record.index)

    def _state(self, record: Record, what: object) -> None:
        if what == "entered" and record.fields.get("purpose") == "group":
            self._conditions[str(record.fields.get("code"))] = "joining"
        elif what == "condition":
            code, now = record.group or "", record.fields.get("condition")
            if now in ("observing", "protected") and self._conditions.get(code) in ("joining", "announced"):
                self.begun[code] = record.index
            self._conditions[code] = now


def _member(record: Record) -> str:
    """Return whose membership or role a record is about; "" if that is erased."""
    wanted = "subject" if record.kind == "role" else "target"
    about = [part.get("mxid") for part in record.parts if part.get("as") == wanted]
    return str((about or [part.get("key") for part in record.parts[:1]])[0] or "")
