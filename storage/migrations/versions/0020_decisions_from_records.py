"""Add the decisions that were made before decisions were kept."""

from pathlib import Path

from alembic import op

from moderation.values.errors import Broken
from storage.journal.line_format import decode
from storage.journal.query import Query, last

revision = "0020"
down_revision = "0019"

INSERT = (
    'INSERT OR IGNORE INTO decisions (record, n, "by", what, state, at)'
    " SELECT ?, n, ?, ?, ?, ? FROM cases WHERE n = ?"  # decisions go with their case
)


def upgrade() -> None:
    """Read the decisions from the records next to the database, up to the last record that it has applied."""
    connection = op.get_bind()
    applied = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'applied'").scalar()
    file = connection.exec_driver_sql("PRAGMA database_list").all()[0].file  # main, not temp
    if applied is None or not file:
        return
    try:
        lines = last(Path(file).parent / "records", Query(kinds=frozenset({"decision"})), 0)
    except Broken:  # a damaged day; `answerable logs verify` names it, and the bot starts all the same
        return
    for record in map(decode, lines):
        if record.index < int(applied):
            by = next((str(part["mxid"]) for part in record.parts if part.get("as") == "by"), "")
            said = record.fields
            values = (record.index, by, said["what"], said.get("state", "decided"), record.at_ms, said["n"])
            connection.exec_driver_sql(INSERT, values)
