"""Add the time lines of cases, with the steps of before from the records."""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from moderation.values.errors import Broken
from storage.journal.line_format import decode
from storage.journal.query import Query, last
from storage.journal.record import Record

revision = "0030"
down_revision = "0029"

KINDS = frozenset({"case", "decision", "appeal", "report", "statement"})
NAMES = {"decision": "decided", "report": "reported", "statement": "stated"}  # kinds whose records name no step
UNASKED = ("joined", "claimed", "extended", "left", "noted", "commented", "asked")  # steps that ask nobody else
INSERT = (
    'INSERT OR IGNORE INTO case_steps (record, n, at, step, what, "by", subject, state, asked, due)'
    " SELECT ?, n, ?, ?, ?, ?, ?, ?, ?, ? FROM cases WHERE n = ?"  # steps go with their case
)


def upgrade() -> None:
    """Make the table, and fill it up to the last record that the database has applied."""
    _make()
    connection = op.get_bind()
    applied = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'applied'").scalar()
    file = connection.exec_driver_sql("PRAGMA database_list").all()[0].file  # main, not temp
    if applied is None or not file:
        return
    try:
        lines = last(Path(file).parent / "records", Query(kinds=KINDS), 0)
    except Broken:  # a damaged day; `answerable logs verify` names it, and the bot starts all the same
        return
    for values in _steps(map(decode, lines), int(applied)):
        connection.exec_driver_sql(INSERT, values)


def _make() -> None:
    op.create_table(
        "case_steps",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index("case_steps_by_case", "case_steps", ["n"], unique=False)


def _steps(records: Iterator[Record], applied: int) -> Iterator[tuple[object, ...]]:
    for record in records:
        said = record.fields
        if record.index >= applied or not said.get("n"):
            continue
        step = str(said.get("step") or NAMES[record.kind])
        what = said.get("what", "")
        people = {str(part["as"]): str(part["mxid"]) for part in record.parts if "as" in part and "mxid" in part}
        by, subject = people.get("by", ""), people.get("subject", "")
        if step in ("commented", "lodged"):
            by, subject = subject, ""
        if step == "reported":
            by, what = "", said.get("channel", "member")
        if said.get("report"):
            by, what = "", "report"
        state = said.get("state", "decided" if step == "decided" else "")
        asked = said.get("asked", "managers" if record.kind in ("case", "appeal") and step not in UNASKED else "")
        yield record.index, record.at_ms, step, what, by, subject, state, asked, said.get("due", 0), said["n"]
