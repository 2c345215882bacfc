"""The part of `logs verify --tables` that compares events of which some have left their table.

The records give the whole table of events. So each event stands in the table as the records have it, or it is among the
old ones; and what is kept of people is no more than what they wrote.

Rules kept here:
- An event that is in neither table is missing, and one that the records do not know is forged.
- How many messages of somebody stood, and whether one of them did, is a matter of the day on which they left the table:
  it is only bounded. Of events that left under a schema before 0059 no kind was kept.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Differing = tuple[str, Row, bool]  # the table, the row, and whether it stands in the database


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """The events in a database."""

    events: Sequence[Row]
    old: Sequence[Row]
    spoke: Sequence[Row]
    stop: int  # the record before which events have left
    bot: str


def compare(stored: StoredEvents, made: Sequence[Row], *, purged: bool) -> Iterator[Differing]:
    """Yield the rows that only one side has.

    `made`: all events of the records; `purged`: whether the first records are gone.
    """
    from storage.projections import COUNTED, digest_of

    wanted, there = {each["record"]: each for each in made}, {each["record"]: each for each in stored.events}
    yield from (("events", row, True) for row in stored.events if wanted.get(row["record"]) != row)
    old = {(each["record"], each["event"], each["at"], each["kind"]): each for each in stored.old}
    for record, row in wanted.items():
        if there.get(record) == row:
            continue
        digest = digest_of(row["event"])
        each_kind = ((record, digest, row["at"], kind) for kind in (row["kind"], COUNTED))
        kept = [each for each in each_kind if each in old]
        if kept and _may_leave(row, stored):
            del old[kept[0]]
        else:
            yield "events", row, False
    yield from (("old_events", row, True) for row in old.values())
    yield from _people(stored, made, there, purged=purged)


def _may_leave(row: Row, stored: StoredEvents) -> bool:
    from storage.projections import LEAVING

    return row["record"] < stored.stop and row["kind"] in LEAVING and row["sender"] != stored.bot


def _people(stored: StoredEvents, made: Sequence[Row], there: Collection[int], *, purged: bool) -> Iterator[Differing]:
    from storage.projections import POSTED

    wrote: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in made:
        if _may_leave(row, stored):
            wrote[row["room"], row["sender"]].append(row)
    known = {(each["room"], each["user"]): each for each in stored.spoke}
    for (room, user), each in known.items():
        theirs = wrote[room, user]
        posted = sum(row["kind"] == POSTED for row in theirs)
        is_theirs = any(row["record"] == each["record"] for row in theirs)
        is_more = each["last"] > max((row["at"] for row in theirs), default=0) or each["messages"] > posted
        if not is_theirs or (is_more and not purged):
            yield "spoke", each, True
    for (room, user), theirs in wrote.items():
        if (room, user) not in known and any(row["record"] not in there for row in theirs):
            yield "spoke", {"room": room, "user": user}, False
