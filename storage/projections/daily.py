"""The numbers of messages, findings, reports, decisions and appeals of each room and day.

Rules kept here:
- Only the kind of a record counts, its room and its day (UTC). So an erasure changes no figure, and a rebuilt table is
  the same.
- Only rooms that are served are counted: figures of a direct room would be about one person.
- What one transaction counts is written at its end, all at once.
"""

from typing import Any

from sqlalchemy import bindparam, literal_column, select

from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode
from storage import schema
from storage.database.dialect import upsert
from storage.database.rows import Asked

MESSAGE = "message"  # messages, reactions, polls; not edits
COUNTED = frozenset({MESSAGE, "finding", "report", "decision", "appeal"})  # kinds of records

_SERVED = select(
    schema.rooms.c.room,
    bindparam("day", type_=schema.daily.c.day.type),
    bindparam("kind", type_=schema.daily.c.kind.type),
    bindparam("count", type_=schema.daily.c.count.type),
    bindparam("record", type_=schema.daily.c.record.type),
).where(schema.rooms.c.code == bindparam("code"), schema.rooms.c.purpose == literal_column("'group'"))
_NEW = upsert(schema.daily).from_select(["room", "day", "kind", "count", "record"], _SERVED)
_ADD = _NEW.on_conflict_do_update(
    index_elements=["room", "day", "kind"], set_={"count": schema.daily.c.count + _NEW.excluded.count}
)


class DailyCounts:
    """The counts of one transaction."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int, str], dict[str, Any]] = {}

    def add(self, kind: str, code: GroupCode | str | None, at_ms: int, index: int) -> None:
        """Count a record, if its kind is counted. `code` is that of its room."""
        if code is None or kind not in COUNTED:
            return
        day = at_ms // DAY_MS
        new = {"code": code, "day": day, "kind": kind, "count": 0, "record": index}
        self._rows.setdefault((code, day, kind), new)["count"] += 1

    def statements(self) -> list[Asked]:
        """Return what writes the counts into the table."""
        return [(_ADD, row) for row in self._rows.values()]
