"""The choice of an export's records, in one pass through the log.

Rules kept here:
- Only records that the checkpoint covers are chosen.
- Only the number of a record is remembered.
- Besides the records that fit, three kinds of records support them: the first one, which names the key; those that
  erased a part of a chosen record; and the policy that was in force when a chosen record named a rule.

Left to others: which records belong to a case (`of_case.py`), which parts are shown (`selection.py`).
"""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson

from moderation.values.errors import Broken
from moderation.values.events import Json
from storage.journal.days import DamagedDay, DayLines, list_days
from storage.journal.line_format import BadLine, DecodedLine, erased_by, open_line, time_text

from .selection import Selection, text_of

Progress = Callable[[int, int], None]  # records done, records in all
_STEP = 1_000  # records between two reports of progress


@dataclass(frozen=True, slots=True)
class NamedRoom:
    """The name and id in the log of the room behind a group code."""

    name: str = ""
    room_id: str = ""


@dataclass(slots=True)
class Chosen:
    """The numbers of the records, and what helps to read them."""

    fitting: "array[int]" = field(default_factory=lambda: array("Q"))
    supporting: frozenset[int] = frozenset()
    groups: set[str] = field(default_factory=set)  # the groups of the fitting records
    rooms: dict[str, NamedRoom] = field(default_factory=dict)  # all rooms that the log knows
    rules: dict[str, Mapping[str, str]] = field(default_factory=dict)  # rule -> language -> its words

    def all(self) -> "array[int]":
        """Return fitting and supporting records, in order."""
        return array("Q", heapq.merge(self.fitting, sorted(self.supporting)))


def lines_below(folder: Path, size: int, progress: Progress | None = None) -> Iterator[tuple[bytes, DecodedLine]]:
    """Yield the first `size` records, as far as they are kept. Raises `Broken` at a damaged line."""
    for day in list_days(folder / "day"):
        number = 0
        try:
            for raw in DayLines(day.path).each():
                number += 1
                opened = open_line(raw)
                index = cast(int, opened.skeleton["i"])
                if index >= size:
                    return
                if progress and index % _STEP == 0:
                    progress(index, size)
                yield raw, opened
        except (BadLine, DamagedDay) as error:
            code = error.code
            raise Broken(
                f"{day.path}, line {number}: it cannot be read ({code}); see `answerable logs verify`"
            ) from error


def choose(
    folder: Path, selection: Selection, size: int, *, of_cases: frozenset[int] | None, progress: Progress | None
) -> Chosen:
    """Choose among the first `size` records. `of_cases`: the records of the cases asked for; None: any."""
    scan = _Scan(selection, of_cases)
    for _, opened in lines_below(folder, size, progress):
        scan.look(opened)
    return scan.chosen()


class _Scan:
    """One pass through the log."""

    def __init__(self, selection: Selection, of_cases: frozenset[int] | None) -> None:
        self._selection = selection
        self._of_cases = of_cases
        self._since = "" if selection.since_ms is None else time_text(selection.since_ms)
        self._until = "~" if selection.until_ms is None else time_text(selection.until_ms)
        self._chosen = Chosen()
        self._supporting: set[int] = set()
        self._policy: tuple[int, DecodedLine] | None = None  # the newest so far
        self._read: int = -1  # the policy whose words are known

    def look(self, opened: DecodedLine) -> None:
        """Take one record into account."""
        skeleton = opened.skeleton
        index, kind = cast(int, skeleton["i"]), skeleton["k"]
        if kind == "state":
            self._note_room(opened)
        elif kind == "rules":
            self._policy = index, opened
        if index == 0:
            self._supporting.add(0)
        also = index in self._selection.also
        if not also and not self._fits(opened):
            return
        self._chosen.fitting.append(index)
        if not also:  # an approver's direct room is nobody else's business
            self._chosen.groups.add(str(skeleton.get("g", "")))
        self._supporting.update(by for part in opened.parts if (by := erased_by(part)) is not None)
        if "rule" in skeleton and self._policy is not None:
            self._supporting.add(self._policy[0])
            self._note_words(*self._policy)

    def chosen(self) -> Chosen:
        """Return the outcome."""
        fitting = self._chosen.fitting
        if fitting:
            taken = {index for index in self._supporting if _holds(fitting, index)}
            self._chosen.supporting = frozenset(self._supporting - taken)
        return self._chosen

    def _fits(self, opened: DecodedLine) -> bool:
        asked, skeleton = self._selection, opened.skeleton
        return (
            skeleton["i"] not in asked.without
            and (self._of_cases is None or skeleton["i"] in self._of_cases)
            and (not asked.groups or skeleton.get("g") in asked.groups)
            and (not asked.kinds or skeleton["k"] in asked.kinds)
            and self._since <= cast(str, skeleton["t"]) < self._until
            and (not asked.persons or any(text_of(part, "mxid") in asked.persons for part in opened.parts))
        )

    def _note_room(self, opened: DecodedLine) -> None:
        """Note a room's name and id, wherever the log has them: a code alone tells an outsider nothing."""
        for part in opened.parts:
            if code := opened.skeleton.get("code"):
                known = self._chosen.rooms.get(str(code), NamedRoom())
                self._chosen.rooms[str(code)] = NamedRoom(known.name, text_of(part, "room_id") or known.room_id)
            elif text_of(part, "type") == "m.room.name" and (group := opened.skeleton.get("g")):
                known = self._chosen.rooms.get(str(group), NamedRoom())
                content = cast(dict[str, Json], part).get("content")
                self._chosen.rooms[str(group)] = NamedRoom(text_of(content, "name"), known.room_id)

    def _note_words(self, index: int, opened: DecodedLine) -> None:
        if index == self._read:
            return
        self._read = index
        for part in opened.parts:
            self._chosen.rules |= _words_of_rules(text_of(part, "policy"))


def _words_of_rules(policy: str) -> dict[str, Mapping[str, str]]:
    try:
        rules = orjson.loads(policy or "{}").get("rules", [])
        return {rule["name"]: {k: str(v) for k, v in rule["text"].items()} for rule in rules if rule.get("text")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # a policy of another version; the rules have their names


def _holds(numbers: "array[int]", wanted: int) -> bool:
    at = bisect_left(numbers, wanted)
    return at < len(numbers) and numbers[at] == wanted
