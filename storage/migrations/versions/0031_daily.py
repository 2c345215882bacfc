"""Count the messages, findings, reports, decisions and appeals of each room and day, from the records."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from storage.journal.days import DamagedDay, DayLines, list_days

revision = "0031"
down_revision = "0030"

RECORD = re.compile(
    rb'^\{"i":(\d+),"t":"([0-9-]{10})T[^"]*","k":"(message|finding|report|decision|appeal)","g":"([^"]+)"', re.MULTILINE
)
INSERT = (
    'INSERT INTO daily (room, day, kind, "count", record)'
    " SELECT room, ?, ?, ?, ? FROM rooms WHERE code = ? AND purpose = 'group'"
)
EPOCH = dt.date(1970, 1, 1).toordinal()


def upgrade() -> None:
    """Make the table, and fill it up to the last record that the database has applied."""
    op.create_table(
        "daily",
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("room", "day", "kind"),
    )
    op.create_index("daily_by_day", "daily", ["day"], unique=False)
    connection = op.get_bind()
    applied = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'applied'").scalar()
    file = connection.exec_driver_sql("PRAGMA database_list").all()[0].file  # main, not temp
    if applied is not None and file:
        for values in _counted(Path(file).parent / "records" / "day", int(applied)):
            connection.exec_driver_sql(INSERT, values)


def _counted(folder: Path, applied: int) -> Iterator[tuple[object, ...]]:
    counts: dict[tuple[str, str, str], list[int]] = {}
    for day in list_days(folder):
        try:
            for block in DayLines(day.path).blocks():
                for index, date, kind, code in RECORD.findall(block):
                    if int(index) < applied:
                        counts.setdefault((code.decode(), date.decode(), kind.decode()), [int(index), 0])[1] += 1
        except DamagedDay:  # `answerable logs verify` names it, and the bot starts all the same
            continue
    for (code, date, kind), (record, count) in counts.items():
        yield dt.date.fromisoformat(date).toordinal() - EPOCH, kind, count, record, code
