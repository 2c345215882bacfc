"""Erasing: parts of records go, and everything that was proved stays provable.

The order is: an `erase` record that names the parts (in its part's `records`, see `targets.py`) is written and
signed; then each day concerned is written anew, the open one too. A part becomes
``{"erased":"2026-12-01","by":1204}``; its commitment stays, so no hash changes.

Rules kept here: what an `erase` record names is erased, whatever else happens: a crash in the middle, or a day's file
put back from an older backup, is mended when the log is opened next. A day is replaced as a whole or not at all, and
is left alone if nothing in it is to go. A part names the first record that erased it.
Left to others: what may be erased (`legal_holds.py`), finding it (`find.py`), the person's key
(`storage/journal/record_keys.py`).
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from moderation.values.errors import Broken, Invalid
from moderation.values.events import Json
from storage.journal.days import DamagedDay, Day, DayLines, rewriting
from storage.journal.line_format import BadLine, erased_by, open_line, time_text
from storage.journal.reader import Log
from storage.journal.record import Record

from .erasure_index import Special, look
from .targets import Targets


@dataclass(frozen=True, slots=True)
class Erasure:
    """What one record erases: `by` is its index, `date` the day on which it was written."""

    by: int
    date: str
    targets: Targets


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """A day, the records in it, and what is to be erased in it."""

    day: Day
    first: int
    erasures: tuple[Erasure, ...]


def erasure_of(record: Record) -> Erasure:
    """What an `erase` record names. Raises `Broken` if it is none, or does not say it as it must."""
    texts = [part["records"] for part in record.parts if "records" in part]
    try:
        targets = Targets.parse(texts[0] if len(texts) == 1 else None)
    except Invalid as error:
        raise Broken(f"record {record.index}: {error}") from error
    if record.kind != "erase" or record.fields.get("parts") != targets.count or targets.last >= record.index:
        raise Broken(f"record {record.index} does not erase {targets.count} parts of records before it")
    return Erasure(record.index, time_text(record.at_ms)[:10], targets)


def erase_parts(log: Log, erasures: Sequence[Erasure], days: Sequence[Day] | None = None) -> list[Day]:
    """Erase in all days concerned, or of those only in `days`. Returns the days that were written anew.

    Raises `Broken` at a damaged line; then that day stands as it was.
    """
    wanted = None if days is None else {day.name for day in days}
    return [
        place.day
        for place in _places(log, erasures)
        if (wanted is None or place.day.name in wanted) and _erase_in(place)
    ]


def erase_again(folder: Path, special: Special) -> list[Day]:
    """Apply all erasures to the days that may lack them; see the module for when. Returns the days that did.

    A new erasure may have been cut short anywhere; an old one can only be missing in a day whose file was changed.
    """
    log = Log(folder)
    changed = special.changed(log.days())
    least = min((first for day in changed if (first := log.first_of(day)) is not None), default=special.new_from)
    known = [index for index in special.indices["erase"] if index >= min(least, special.new_from)]
    erasures = _well_formed([log.get(index) for index in known])
    new = [each for each in erasures if each.by >= special.new_from]
    old = [each for each in erasures if each.by < special.new_from]
    rewritten = [*erase_parts(log, old, changed), *erase_parts(log, new)]
    special.days = {day.name: seen for day in log.days() if (seen := look(day))}
    return rewritten


def _well_formed(records: Sequence[Record]) -> list[Erasure]:
    """What can be applied. A record that names nothing rightly must not keep a log from opening: `verify` tells it."""
    found = []
    for record in records:
        with suppress(Broken):
            found.append(erasure_of(record))
    return found


def _places(log: Log, erasures: Sequence[Erasure]) -> Iterator[RecordPlace]:
    starts = log.starts()
    ends = [first for _, first in starts[1:]] + [2**53]
    for (day, first), end in zip(starts, ends, strict=True):
        cut = [Erasure(each.by, each.date, each.targets.within(first, end)) for each in erasures]
        if found := tuple(each for each in cut if each.targets):
            yield RecordPlace(day, first, found)


def _erase_in(place: RecordPlace) -> bool:
    """Write a day anew without the parts. Returns False, having touched nothing, if none of them is shown."""
    if not any(_erased(raw, index, place) for index, raw in _lines(place)):
        return False
    with rewriting(place.day) as write:
        for at, block in _blocks(place):
            write(_without(at, block, place) + b"\n")
    return True


def _without(at: int, block: bytes, place: RecordPlace) -> bytes:
    """Some lines, the first of record `at`, with the parts gone."""
    indices = _indices(at, block, place)
    if not indices:
        return block
    lines = block.split(b"\n")
    for index in indices:
        lines[index - at] = _erased(lines[index - at], index, place) or lines[index - at]
    return b"\n".join(lines)


def _erased(raw: bytes, index: int, place: RecordPlace) -> bytes | None:
    """A line without the parts; None if they are gone already."""
    try:
        opened = open_line(raw)
    except BadLine as error:
        raise Broken(_where(place, index, error.code)) from error
    if opened.skeleton["i"] != index:
        raise Broken(_where(place, index, f"record {index} was expected"))
    parts = list(opened.parts)
    for erasure in place.erasures:
        for number in erasure.targets.of_record(index):
            if number < len(parts) and erased_by(parts[number]) is None:
                parts[number] = {"erased": erasure.date, "by": erasure.by}
    return None if parts == opened.parts else orjson.dumps({**opened.skeleton, "x": cast(Json, parts)})


def _lines(place: RecordPlace) -> Iterator[tuple[int, bytes]]:
    """The lines in which something is to go."""
    for at, block in _blocks(place):
        if indices := _indices(at, block, place):
            lines = block.split(b"\n")
            yield from ((index, lines[index - at]) for index in indices)


def _indices(at: int, block: bytes, place: RecordPlace) -> list[int]:
    """The records among some lines in which something is to go."""
    stop = at + block.count(b"\n") + 1
    return sorted({index for each in place.erasures for index in each.targets.within(at, stop).records()})


def _blocks(place: RecordPlace) -> Iterator[tuple[int, bytes]]:
    """The lines in blocks, each with the index of its first record."""
    at = place.first
    lines = DayLines(place.day.path)
    try:
        for block in lines.blocks():
            yield at, block
            at += block.count(b"\n") + 1
    except DamagedDay as error:
        raise Broken(_where(place, at, error.code)) from error
    if lines.rest:
        raise Broken(_where(place, at, "torn"))


def _where(place: RecordPlace, index: int, what: str) -> str:
    line = index - place.first + 1
    return f"{place.day.path}, line {line}: it cannot be read ({what}); nothing was erased in this day"
