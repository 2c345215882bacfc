"""A comparison of random samples of table rows and of records: each must match the other.

A change made in the database alone is found by this at some start; `answerable logs verify --tables` finds it at
once, by rebuilding all tables.

Rules kept here:
- Nothing is written or locked.
- It reads some rows and some days of records and no more, however long the log is.
- Earlier differences are checked again first.
- Erased values are empty on either side, and purged ones are gone: neither is a difference.
- Values that depend on records anywhere in the log (such as the state of a case that waits) are left to `--tables`.

Left to others: when it is done and who is told (`bot/scheduler/tables_sample.py`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    CaseDecided,
    CaseOpened,
    CreditChanged,
    EntryConfirmed,
    Fact,
    SanctionEnded,
    SanctionExtended,
    Swept,
)
from moderation.model.facts import SanctionStarted as Started
from moderation.values.errors import Broken
from moderation.values.ids import GroupCode, RoomId
from storage import schema
from storage.database.place import DatabasePlace
from storage.database.plain import PlainTables, reading
from storage.journal.days import DamagedDay, DayLines
from storage.journal.line_format import BadLine, day_of, decode, erased_by
from storage.journal.reader import Log
from storage.journal.record import Record
from storage.record_mapping import fact_of_record

ROWS = 5  # taken from each table
STRETCH = 100  # consecutive records
MOST = 20  # differences that are reported
KEYS: Mapping[str, str] = {"cases": "n", "decisions": "record", "credit": "record", "sanctions": "record"}
UNKNOWN, MISSING = "unknown", "missing"  # no record caused the row; the row of a record is missing
_OF_PEOPLE = frozenset({"person", "words", "event"})
_DECIDED = ("decided", "affirmed", "reversed")  # states that only a decision gives

# The columns of a new row that never change, by the fact that makes it.
_LASTING: Mapping[type[Fact], Sequence[str]] = {
    CaseOpened: [
        "subject",
        "person",
        "room",
        "rule",
        "grade",
        "decide",
        "manages",
        "about",
        "burst",
        "excerpt",
        "opened",
    ],
    CaseDecided: ["n", "by", "what", "state", "at"],
    CreditChanged: ["user", "person", "room", "entry", "cost", "grade", "rule", "n", "undoes", "ledger", "at"],
    Started: ["subject", "person", "room", "kind", "n", "basis", "rule", "by", "reason", "every", "reach", "at"],
    Swept: ["subject", "person", "room", "n", "rule", "by", "reason", "oldest", "at"],
}

F = TypeVar("F", bound=Fact)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class SampleDifference:
    """A row that does not match the records.

    `record`: its record; `what`: a column, UNKNOWN or MISSING.
    """

    table: str
    key: int
    record: int
    what: str


def differences(
    database: DatabasePlace, records: Path, choose: Random, known: Collection[SampleDifference] = ()
) -> list[SampleDifference]:
    """Compare a sample. `known`: earlier differences.

    Raises `Broken` if the records cannot be read, `OSError` or `DatabaseRefused` if the database cannot.
    """
    log = Log(records)
    first = _first(log)
    with reading(database) as opened:
        tables = _Tables(opened)
        rows = tables.chosen(choose, known)
        start = choose.randrange(first, max(first, tables.applied - STRETCH) + 1)
        stretch = [*_each(log, known), *log.read(start, min(start + STRETCH, tables.applied))]
        comparison = _Comparison(log, tables, first)
        found = {*comparison.of_rows(rows), *comparison.of_records(stretch)}
    first = _first(log)  # a purge may have come between
    return sorted(each for each in found if not 0 <= each.record < first)[:MOST]


async def rooms_of(db: AsyncConnection, found: Iterable[SampleDifference]) -> set[RoomId]:
    """Return the rooms that differing rows are about, as far as the tables say."""
    rooms: set[str | None] = set()
    for each in found:
        if each.table == "decisions":
            of_case = select(schema.decisions.c.n).where(schema.decisions.c.record == each.key).scalar_subquery()
            rooms.add(await db.scalar(select(schema.cases.c.room).where(schema.cases.c.n == of_case)))
        else:
            table = schema.metadata.tables[each.table]
            rooms.add(await db.scalar(select(table.c.room).where(table.c[KEYS[each.table]] == each.key)))
    return {RoomId(room) for room in rooms if room}


def _first(log: Log) -> int:
    starts = log.starts()
    return starts[0][1] if starts else 0


def _each(log: Log, known: Iterable[SampleDifference]) -> Iterator[Record]:
    for index in sorted({each.record for each in known if each.what == MISSING}):
        yield from log.read(index, index + 1)


class _Tables:
    """The rows, and what is needed to interpret them."""

    def __init__(self, database: PlainTables) -> None:
        self._database = database
        self.applied = int(self._one("SELECT value FROM meta WHERE key = 'applied'") or 0)
        self._rooms = dict(database.tuples("SELECT code, room FROM rooms"))
        linked = database.tuples('SELECT "user", person FROM accounts WHERE "user" <> person')
        self.persons = dict(linked)

    def room_of(self, code: str) -> RoomId | None:
        room = self._rooms.get(GroupCode(code))
        return RoomId(room) if room else None

    def chosen(self, choose: Random, known: Iterable[SampleDifference]) -> list[tuple[str, Row]]:
        """Return some rows of each table, as they are at one moment, and those that differed before."""
        with self._database.moment():
            return list(self._chosen(choose, known))

    def _chosen(self, choose: Random, known: Iterable[SampleDifference]) -> Iterator[tuple[str, Row]]:
        for table, key in KEYS.items():
            there = self._one(f"SELECT count(*) FROM {table}")  # noqa: S608  (a name of ours, here and below)
            places = sorted(choose.sample(range(there), min(there, ROWS)))
            query = f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET ?"  # noqa: S608
            keys = {self._one(query, place) for place in places} | {e.key for e in known if e.table == table}
            yield from ((table, row) for each in sorted(keys) if (row := self.row(table, each)) is not None)

    def row(self, table: str, key: int) -> Row | None:
        """Return one row; of a case with `last`, the record of its last decision in the table of decisions."""
        rows = self._database.rows(f"SELECT * FROM {table} WHERE {KEYS[table]} = ?", key)  # noqa: S608
        if not rows or table != "cases":
            return rows[0] if rows else None
        return {**rows[0], "last": self._one("SELECT max(record) FROM decisions WHERE n = ?", key)}

    def _one(self, query: str, *values: object) -> Any:
        rows = self._database.tuples(query, *values)
        return rows[0][0] if rows else None


class _Comparison:
    """The comparison of rows and records."""

    def __init__(self, log: Log, tables: _Tables, first: int) -> None:
        self._log = log
        self._tables = tables
        self._first = first

    # From the rows to the records.

    def of_rows(self, rows: Iterable[tuple[str, Row]]) -> Iterator[SampleDifference]:
        for table, row in rows:
            key, index = row[KEYS[table]], row["record"]
            if not 0 <= index < self._first:  # else the record was purged, and the row still holds
                yield from (SampleDifference(table, key, index, what) for what in self._of_row(table, row))

    def _of_row(self, table: str, row: Row) -> Iterator[str]:
        record = self._record(row["record"])
        fact = None if record is None else self._fact(record)
        if record is None or fact is None or _place(fact, record.index) != (table, row[KEYS[table]]):
            yield UNKNOWN
            return
        yield from self._unlike(table, row, record, self._born(fact, record))
        if isinstance(fact, CaseOpened):
            yield from self._outcome(row, record, fact)
        elif isinstance(fact, Started):
            yield from self._end(row, fact)
        elif isinstance(fact, CreditChanged):
            yield from self._reach(row, fact)

    def _born(self, fact: Fact, record: Record) -> Row:
        """Return the lasting values that the record which created a row gives it."""
        said = {each.name: getattr(fact, each.name) for each in fields(fact)} | dict.fromkeys(
            ("at", "opened"), record.at_ms
        )
        if "subject" in said:
            said |= {"user": said["subject"], "person": self._tables.persons.get(said["subject"], said["subject"])}
        said["room"] = fact.room or ""
        is_known = fact.room is not None or record.group is None  # else its room is not in the tables
        return {name: said[name] for name in _LASTING[type(fact)] if is_known or name != "room"}

    def _unlike(self, table: str, row: Row, record: Record, said: Row) -> Iterator[str]:
        is_erased = any(erased_by(dict(part)) is not None for part in record.parts)
        for name, value in said.items():
            if row[name] != value:
                column = schema.metadata.tables[table].c[name]
                is_gone = is_erased and "" in (row[name], value) and column.info.get("holds") in _OF_PEOPLE
                if not is_gone:
                    yield name

    def _outcome(self, row: Row, opening: Record, opened: CaseOpened) -> Iterator[str]:
        """Compare how a case ended: by its opening, or by its last decision."""
        if not row["outcome"]:
            if row["state"] in _DECIDED or row["last"] is not None:
                yield "state"
            return
        if opened.state == "decided" and row["last"] is None:
            said = {"outcome": "upheld", "decided": opening.at_ms, "by": opened.by, "reason": opened.reason}
            yield from self._unlike("cases", row, opening, said)
            return
        found = self._decision(row)
        if found is None:
            yield "outcome"
            return
        record, fact = found
        said = {"outcome": fact.what, "decided": record.at_ms, "by": fact.by, "reason": fact.reason}
        yield from self._unlike("cases", row, record, said)
        if row["state"] in _DECIDED and row["state"] != fact.state:
            yield "state"

    def _decision(self, row: Row) -> tuple[Record, CaseDecided] | None:
        last = None if row["last"] is None else self._record(row["last"])
        if last is not None and isinstance(fact := self._fact(last), CaseDecided) and fact.n == row["n"]:
            return last, fact

        def decides(record: Record, fact: CaseDecided) -> bool:
            return (fact.n, record.at_ms) == (row["n"], row["decided"])

        return self._later(row["record"], row["decided"], b'"n":%d,' % row["n"], CaseDecided, decides)

    def _end(self, row: Row, fact: Started) -> Iterator[str]:
        """Compare until when a measure holds, and when and why it ended."""
        start, needle = row["record"], b'"start":%d,' % row["record"]
        moves = row["basis"] == "neglect" and row["kind"] in ("rectify", "suspend")  # postponed after each outage
        if row["until"] != fact.until and not moves:

            def extends(_record: Record, fact: SanctionExtended) -> bool:
                return (fact.start, fact.until) == (start, row["until"])

            if self._later(start, row["at"], needle, SanctionExtended, extends) is None:
                yield "until"
        if row["ended"]:

            def ends(record: Record, fact: SanctionEnded) -> bool:
                return (fact.start, max(record.at_ms, 1), fact.why) == (start, row["ended"], row["why_ended"])

            if self._later(start, row["ended"], needle, SanctionEnded, ends) is None:
                yield "ended"

    def _reach(self, row: Row, fact: CreditChanged) -> Iterator[str]:
        """Compare how far an entry reaches: as it was made, or everywhere, if an operator confirmed it."""
        start = row["record"]

        def confirms(_record: Record, fact: EntryConfirmed) -> bool:
            return bool(fact.start == start)

        widened = row["reach"] == "" and bool(fact.reach)
        if row["reach"] == fact.reach:
            return
        if not widened or self._later(start, row["at"], b'"start":%d,' % start, EntryConfirmed, confirms) is None:
            yield "reach"

    # From the records to the rows.

    def of_records(self, records: Iterable[Record]) -> Iterator[SampleDifference]:
        for record in records:
            fact = self._fact(record)
            place = _place(fact, record.index) if fact is not None else None
            if fact is None or place is None or (isinstance(fact, SanctionEnded) and fact.start < self._first):
                continue
            table, key = place
            row = self._tables.row(table, key)
            if row is None:
                if not self._may_be_gone(fact):
                    yield SampleDifference(table, key, record.index, MISSING)
            elif isinstance(fact, SanctionEnded):
                if row["ended"] < max(record.at_ms, 1):
                    yield SampleDifference(table, key, record.index, "ended")
            else:
                wrong = self._unlike(table, row, record, self._born(fact, record))
                yield from (SampleDifference(table, key, record.index, what) for what in wrong)

    def _may_be_gone(self, fact: Fact) -> bool:
        """Return whether a purge removed the row: decisions go with their case, which may be older."""
        return isinstance(fact, CaseDecided) and self._first > 0 and self._tables.row("cases", fact.n) is None

    # Reading.

    def _fact(self, record: Record) -> Fact | None:
        return fact_of_record(record, self._tables.room_of)

    def _record(self, index: int) -> Record | None:
        try:
            return self._log.get(index)
        except LookupError:
            return None

    def _later(
        self, start: int, at_ms: int, needle: bytes, kind: type[F], fits: Callable[[Record, F], bool]
    ) -> tuple[Record, F] | None:
        """Find a fact after record `start`, at about `at_ms`: first where it should be, then anywhere."""
        days = [day for day, _ in self._log.starting_with(start)]
        near = [day for day in days if day.name >= day_of(at_ms)][:2]
        for day in (*near, *(day for day in days if day not in near)):
            try:
                for _, raw in DayLines(day.path).holding([needle]):
                    record = decode(raw)
                    fact = self._fact(record) if record.index > start else None
                    if isinstance(fact, kind) and fits(record, fact):
                        return record, fact
            except (DamagedDay, BadLine) as error:
                raise Broken(f"{day.path}: it cannot be read ({error.code})") from error
        return None


def _place(fact: Fact, index: int) -> tuple[str, int] | None:
    """Return the table and key of a fact's row."""
    match fact:
        case CaseOpened():
            return "cases", fact.n
        case CaseDecided():
            return "decisions", index
        case CreditChanged():
            return "credit", index
        case Started() | Swept():
            return "sanctions", index
        case SanctionEnded():
            return "sanctions", fact.start
    return None
