"""Erases parts of records, so that everything that was proved stays provable.

First an `erase` record that names the parts (in its part's `records`, see `targets.py`) is written and signed. Then
each day concerned is rewritten, the open one too. A part becomes ``{"erased":"2026-12-01","by":1204}``; its
commitment stays, so no hash changes.

Rules kept here:
- What an `erase` record names is erased in any case: after a crash in the middle, or if a day's file was restored from
  an older backup, the next opening of the log finishes it.
- A day is replaced as a whole or not at all, and is left alone if nothing in it is to be erased.
- An erased part names the first record that erased it.
Left to others: what may be erased (`legal_holds.py`), finding it (`find.py`), the person's key
(`storage/journal/record_keys.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from moderation.values.errors import Broken, Invalid
from moderation.values.events import Json
from storage.journal.days import DamagedDay, Day, DayLines, rewriting
from storage.journal.line_format import BadLine, DecodedLine, erased_by, open_line
from storage.journal.reader import Log

from .erasure_index import Special
from .targets import Targets


@dataclass(frozen=True, slots=True)
class Erasure:
    """The parts that one record erases: `by` is its index, `date` the day on which it was written."""

    by: int
    date: str
    targets: Targets


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """A day, the index of its first record, and what is to be erased in it."""

    day: Day
    first: int
    erasures: tuple[Erasure, ...]


def erasure_of(opened: DecodedLine) -> Erasure:
    """Return what an `erase` record names. Raises `Broken` if it is another kind of record or malformed."""
    skeleton = opened.skeleton
    index = cast(int, skeleton["i"])
    texts = [part["records"] for part in opened.parts if type(part) is dict and "records" in part]
    try:
        targets = Targets.parse(texts[0] if len(texts) == 1 else None)
    except Invalid as error:
        raise Broken(f"record {index}: {error}") from error
    if skeleton["k"] != "erase" or skeleton.get("parts") != targets.count or targets.last >= index:
        raise Broken(f"record {index} does not erase {targets.count} parts of records before it")
    return Erasure(index, cast(str, skeleton["t"])[:10], targets)


def erase_parts(log: Log, erasures: Sequence[Erasure], days: Sequence[Day] | None = None) -> list[Day]:
    """Erase parts in all days concerned, or only in those among `days`. Returns the days that were rewritten.

    Raises `Broken` at a damaged line; then that day is left as it was.
    """
    wanted = None if days is None else {day.name for day in days}
    return [
        place.day
        for place in _places(log, erasures)
        if (wanted is None or place.day.name in wanted) and _erase_in(place)
    ]


def erase_where_possible(log: Log, erasures: Sequence[Erasure]) -> list[str]:
    """Erase parts in all days concerned but damaged ones. Returns what is wrong with each of these."""
    damage = []
    try:
        places = list(_places(log, erasures))
    except Broken as error:  # a day of which not even the first record can be read
        return [str(error)]
    for place in places:
        try:
            _erase_in(place)
        except Broken as error:
            damage.append(str(error))
    return damage


def erase_again(folder: Path, special: Special) -> list[Day]:
    """Apply all erasures to the days that may lack them (the module says when). Returns the days that were rewritten.

    A new erasure may have been interrupted anywhere; an old one can be missing only in a day whose file was changed.
    """
    log = Log(folder)
    changed = special.changed(log.days())
    least = min((first for day in changed if (first := log.first_of(day)) is not None), default=special.new_from)
    known = [index for index in special.indices["erase"] if index >= min(least, special.new_from)]
    erasures = well_formed(map(log.line, known))
    new = [each for each in erasures if each.by >= special.new_from]
    old = [each for each in erasures if each.by < special.new_from]
    rewritten = [*erase_parts(log, old, changed), *erase_parts(log, new)]
    special.all_applied(log.days())
    return rewritten


def well_formed(records: Iterable[DecodedLine]) -> list[Erasure]:
    """Return the usable erasures. A malformed record must not keep a log from opening: `verify` names it."""
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
    """Rewrite a day without the parts. Returns False and changes nothing if none of them is shown."""
    if not any(_erased(raw, index, place) for index, raw in _lines(place)):
        return False
    with rewriting(place.day) as write:
        for at, block in _blocks(place):
            write(_without(at, block, place) + b"\n")
    return True


def _without(at: int, block: bytes, place: RecordPlace) -> bytes:
    """Return the lines of `block`, the first of record `at`, with the parts erased."""
    indices = _indices(at, block, place)
    if not indices:
        return block
    lines = block.split(b"\n")
    for index in indices:
        lines[index - at] = _erased(lines[index - at], index, place) or lines[index - at]
    return b"\n".join(lines)


def _erased(raw: bytes, index: int, place: RecordPlace) -> bytes | None:
    """Return a line with the parts erased; None if they are erased already."""
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
    """Yield the lines in which something is to be erased, each with its index."""
    for at, block in _blocks(place):
        if indices := _indices(at, block, place):
            lines = block.split(b"\n")
            yield from ((index, lines[index - at]) for index in indices)


def _indices(at: int, block: bytes, place: RecordPlace) -> list[int]:
    """Return the records of `block` in which something is to be erased."""
    stop = at + block.count(b"\n") + 1
    return sorted({index for each in place.erasures for index in each.targets.within(at, stop).records()})


def _blocks(place: RecordPlace) -> Iterator[tuple[int, bytes]]:
    """Yield the lines in blocks, each with the index of its first record."""
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
