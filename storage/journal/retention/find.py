"""Finds the parts that are to be erased, and sets apart those that a hold covers.

Rules kept here:
- The log is read day by day, and only numbers are kept in memory.
- Parts that are erased already are not found again.
- Records on which other erasures and holds depend (`KEPT`) are never found.
Left to others: recording the erasure (`bot/`), doing it (`erase.py`).
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson

from moderation.model.actions.registry import ACTIONS
from moderation.model.actions.telling import Say
from moderation.values.events import Json
from storage.journal.days import Day
from storage.journal.line_format import DecodedLine, erased_by
from storage.journal.reader import Log
from storage.journal.record_kinds.table import KEPT
from storage.journal.report import Progress

from .erasure_index import opened_lines
from .legal_holds import HoldsInForce
from .ranges import Builder
from .targets import Targets

SPOKEN = frozenset(name for name, action in ACTIONS.items() if action.SPEAKS)

_CAUSE = re.compile(r"\.(\d+)\.\d+$")  # in a transaction id

_IsMeant = Callable[[DecodedLine, Json], bool]


@dataclass(slots=True)
class FoundParts:
    """The parts that may be erased, those that each hold covers, and the number of mentions in parts of others."""

    _free: dict[int, Builder] = field(default_factory=dict)
    _held: dict[int, dict[int, Builder]] = field(default_factory=dict)
    elsewhere: int = 0  # records that name the person in a part that is not theirs
    said: set[int] = field(default_factory=set)  # the records of the events that they sent

    @property
    def targets(self) -> Targets:
        """The parts that may be erased."""
        return Targets(self._free)

    @property
    def held(self) -> dict[int, Targets]:
        """The parts that may not be erased, for each hold, by the index of the record that placed it."""
        return {hold: Targets(places) for hold, places in self._held.items()}

    def add(self, opened: DecodedLine, place: int, holds: HoldsInForce) -> None:
        """Add a part, either as free or as covered by a hold."""
        hold = holds.covering(opened, place)
        places = self._free if hold is None else self._held.setdefault(hold.index, {})
        places.setdefault(place, Builder()).add(cast(int, opened.skeleton["i"]))


def parts_of(
    folder: Path, persons: Collection[str], holds: HoldsInForce, progress: Progress | None = None
) -> FoundParts:
    """Find all parts about a person, given by their Matrix ids, in all days. Raises `Broken` at a damaged line.

    `progress` is called with the number of days done and of all days.
    """
    found = FoundParts()
    needles = [orjson.dumps(person)[1:-1] for person in persons]
    if not needles:
        return found
    named = re.compile(b"(?:" + b"|".join(map(re.escape, needles)) + rb")(?![.:-]?[A-Za-z0-9])")
    for day in _told(Log(folder).days(), progress):
        for opened in opened_lines(day, needles):
            _collect(found, opened, holds, lambda _, part: _is_about(part, persons))
            if _is_sent_by(opened, persons):
                found.said.add(cast(int, opened.skeleton["i"]))
            others = (part for part in opened.parts if not _is_about(part, persons))
            found.elsewhere += any(named.search(orjson.dumps(part)) for part in others)
    return found


def said_of(
    folder: Path,
    persons: Collection[str],
    cases: Collection[int],
    *,
    caused: Collection[int] = (),
    without: Collection[int] = (),
) -> list[str]:
    """Return the ids of the bot's own messages to or about a person, from the records of what became of its actions.

    `cases` are those about the person, `caused` the records of what the person said: a message that the bot sent
    because of these counts as theirs, unless it went to somebody else. So does its answer to somebody who decided one
    of `cases`. Messages of the cases in `without` are left out.
    """
    found: list[str] = []
    deciding: set[Json] = set()  # records of the commands that decided these cases
    for day in Log(folder).days():
        for opened in opened_lines(day, [b'"k":"outcome"', b'"k":"decision"']):
            n, on, action = (opened.skeleton.get(name) for name in ("n", "on", "action"))
            if opened.skeleton["k"] == "decision":
                deciding |= {on} if n in cases and n not in without else set()
                continue
            about = any(_is_about(part, persons) for part in opened.parts)
            to_others = any(type(part) is dict and "mxid" in part for part in opened.parts)
            answers = action == Say.NAME and on in deciding
            theirs = (
                about or n in cases or answers or (not to_others and not _causes(opened.skeleton).isdisjoint(caused))
            )
            if action in SPOKEN and theirs and n not in without:
                found += [str(part["made"]) for part in opened.parts if type(part) is dict and "made" in part]
    return found


def _causes(skeleton: Mapping[str, Json]) -> set[Json]:
    """Return the records that caused an action.

    If a card was read before its request was answered, `on` is the card's own record; the transaction id has the cause.
    """
    named = _CAUSE.search(str(skeleton.get("txn")))
    return {skeleton.get("on"), *([int(named[1])] if named else [])}


def parts_in(folder: Path, targets: Targets, holds: HoldsInForce) -> FoundParts:
    """Find those of `targets` that are still shown, whether free or held. Raises `Broken`."""
    found = FoundParts()
    log = Log(folder)
    records = targets.records()
    for day, first in log.starting_with(next(iter(records), 0)):
        if not records.within(first, 2**53):
            break
        for opened in opened_lines(day, []):
            if (index := cast(int, opened.skeleton["i"])) in records:
                places = targets.of_record(index)
                _collect(found, opened, holds, lambda _, __: True, places)
    return found


def overdue_parts(folder: Path, due: Callable[[Day, str], bool], holds: HoldsInForce) -> FoundParts:
    """Find all parts in closed days whose retention time is over, as `due(day, kind)` says. Raises `Broken`."""
    found = FoundParts()
    for day in Log(folder).days():
        if day.closed and due(day, ""):
            for opened in opened_lines(day, []):
                if due(day, cast(str, opened.skeleton["k"])):
                    _collect(found, opened, holds, lambda _, __: True)
    return found


def _collect(
    found: FoundParts, opened: DecodedLine, holds: HoldsInForce, is_meant: _IsMeant, places: Sequence[int] | None = None
) -> None:
    if opened.skeleton["k"] in KEPT:
        return
    for place, part in enumerate(opened.parts):
        if (places is None or place in places) and erased_by(part) is None and is_meant(opened, part):
            found.add(opened, place, holds)


def _is_about(part: Json, persons: Collection[str]) -> bool:
    return type(part) is dict and part.get("mxid") in persons


def _is_sent_by(opened: DecodedLine, persons: Collection[str]) -> bool:
    """Tell whether a record is that of an event that one of these people sent."""
    part = opened.parts[0] if opened.parts else None
    return _is_about(part, persons) and type(part) is dict and "ev" in part


def _told(days: Sequence[Day], progress: Progress | None) -> Iterator[Day]:
    for done, day in enumerate(days):
        if progress:
            progress(done, len(days))
        yield day
    if progress:
        progress(len(days), len(days))
