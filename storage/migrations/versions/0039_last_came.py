"""Note of each member when they last came in."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from moderation.values.errors import Broken
from storage.journal.line_format import decode
from storage.journal.query import Query, last
from storage.journal.record import Record

revision = "0039"
down_revision = "0038"

KINDS = frozenset({"join", "leave", "state"})
JOINED = "UPDATE members SET joined = ? WHERE user = ? AND room = (SELECT room FROM rooms WHERE code = ?)"


def upgrade() -> None:
    """Add the column, and fill it up to the last record that the database has applied."""
    op.add_column("members", sa.Column("joined", sa.Integer(), nullable=False, server_default="0"))
    connection = op.get_bind()
    applied = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'applied'").scalar()
    file = connection.exec_driver_sql("PRAGMA database_list").all()[0].file  # main, not temp
    if applied is None or not file:
        return
    found = LastCame()
    try:
        for record in map(decode, last(Path(file).parent / "records", Query(kinds=KINDS), 0)):
            if record.index < int(applied):
                found.take(record)
    except Broken:  # a damaged day; `answerable logs verify` names it, and the bot starts all the same
        return
    for (code, user), at_ms in found.joined.items():
        connection.exec_driver_sql(JOINED, (at_ms, user, code))


class LastCame:
    """The last time at which each person came into each room."""

    def __init__(self) -> None:
        self.joined: dict[tuple[str, str], int] = {}
        self._there: set[tuple[str, str]] = set()

    def take(self, record: Record) -> None:
        """Read one record; they come in order."""
        if record.kind == "state":
            if (
                record.fields.get("what") == "entered"
            ):  # also into the room in which a group continues, where nobody is yet
                self._there = {each for each in self._there if each[0] != record.fields.get("code")}
            return
        about = [part.get("mxid") for part in record.parts if part.get("as") == "target"]
        member = (record.group or "", str((about or [part.get("mxid") for part in record.parts[:1]])[0] or ""))
        if record.kind == "leave":
            self._there.discard(member)
        elif member not in self._there:
            self._there.add(member)
            self.joined[member] = record.at_ms
