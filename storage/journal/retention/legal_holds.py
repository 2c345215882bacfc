"""Legal holds: records that must be kept although their retention time is over or somebody asked for erasure.

A `hold` record with `step` "placed" names a duty or claim, an end (`until`) and, as JSON in its part's `covers`,
what it covers. A record with `step` "ended" and `start`, the index of the first, ends it early; otherwise it ends on
its own at `until`.

    {"persons":["@user1:example.org"],"groups":["G-7F3K"],"cases":[12],"records":"740-745,800","since":0,"until":0}

A criterion that is left out matches everything. A record must match all given criteria, and one entry of each list.
`persons`: the persons a part is about. A case's records are those with its number, its evidence, and those about its
evidence. `since` and `until` are times of receipt in milliseconds since 1970.

Rules kept here:
- Whether a part is covered follows from the records and the time alone.
- A hold that cannot be understood covers everything until it ends.
- A hold's own record is covered while the hold lasts.
Left to others: who may place one, erasing (`find.py`) and purging (`purge.py`) what is not covered.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import orjson

from moderation.values.errors import Invalid
from moderation.values.events import Json
from moderation.values.ids import is_group_code, is_user_id
from storage.journal.line_format import DecodedLine, erased_by, time_text
from storage.journal.reader import Log
from storage.journal.record import Record

from .erasure_index import Special, scan
from .ranges import Ranges


@dataclass(frozen=True, slots=True)
class Covers:
    """The criteria of what a hold covers; an empty one matches everything."""

    persons: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    cases: frozenset[int] = frozenset()
    records: Ranges | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    evidence: Ranges = field(default_factory=Ranges)  # the evidence of `cases`, read from the log

    @classmethod
    def parse(cls, text: object) -> "Covers":
        """Parse `covers` of a record. Raises `Invalid`, saying what is wrong, also if it would cover everything."""
        data = _object(text)
        covers = cls(
            persons=_strings(data, "persons", is_user_id),
            groups=_strings(data, "groups", is_group_code),
            cases=_numbers(data, "cases"),
            records=Ranges.parse(str(data.pop("records"))) if "records" in data else None,
            since_ms=_moment(data, "since"),
            until_ms=_moment(data, "until"),
        )
        if data:
            raise Invalid(f"hold: {next(iter(data))!r} is not among persons, groups, cases, records, since and until")
        if covers == cls():
            raise Invalid("hold: it must say what it covers: persons, groups, cases, records or a time")
        return covers

    @property
    def text(self) -> str:
        """The JSON text for a record."""
        given: dict[str, Json] = {
            "persons": cast(Json, sorted(self.persons)),
            "groups": cast(Json, sorted(self.groups)),
            "cases": cast(Json, sorted(self.cases)),
        }
        data = {name: value for name, value in given.items() if value}
        if self.records is not None:
            data["records"] = self.records.text
        times = {"since": self.since_ms, "until": self.until_ms}
        return orjson.dumps(data | {name: ms for name, ms in times.items() if ms is not None}).decode()

    def fit(self, skeleton: Mapping[str, Json]) -> bool:
        """Tell whether the record matches, without regard to the persons its parts are about."""
        at = cast(str, skeleton["t"])
        return (
            (not self.groups or skeleton.get("g") in self.groups)
            and (self.records is None or cast(int, skeleton["i"]) in self.records)
            and (not self.cases or self._is_of_case(skeleton))
            and (self.since_ms is None or at >= time_text(self.since_ms))
            and (self.until_ms is None or at < time_text(self.until_ms))
        )

    def fit_part(self, part: Json) -> bool:
        """Tell whether a part of a matching record is covered."""
        return not self.persons or (type(part) is dict and part.get("mxid") in self.persons)

    def _is_of_case(self, skeleton: Mapping[str, Json]) -> bool:
        about = skeleton.get("on")
        return (
            skeleton.get("n") in self.cases
            or cast(int, skeleton["i"]) in self.evidence
            or (type(about) is int and about in self.evidence)
        )


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold, identified by the index of the record that placed it. `until_ms` is 0 if the end cannot be read."""

    index: int
    until_ms: int
    duty: str
    covers: Covers
    ended_ms: int | None = None

    def is_in_force(self, now_ms: int) -> bool:
        """Tell whether the hold is in force at that time (ms)."""
        over = 0 < self.until_ms <= now_ms or (self.ended_ms is not None and self.ended_ms <= now_ms)
        return not over

    def covers_record(self, opened: DecodedLine) -> bool:
        """Tell whether the hold covers the record or any part that it shows."""
        if opened.skeleton["i"] == self.index:
            return True
        if not self.covers.fit(opened.skeleton):
            return False
        shown = [part for part in opened.parts if erased_by(part) is None]
        return not self.covers.persons or any(map(self.covers.fit_part, shown))


class HoldsInForce:
    """The holds in force at one time; answers which of them covers a part or a record."""

    def __init__(self, holds: Iterable[LegalHold] = ()) -> None:
        self.holds = tuple(holds)

    def covering(self, opened: DecodedLine, place: int) -> LegalHold | None:
        """Return the first hold that covers the part at `place`, or None."""
        for hold in self.holds:
            own = opened.skeleton["i"] == hold.index
            if own or (hold.covers.fit(opened.skeleton) and hold.covers.fit_part(opened.parts[place])):
                return hold
        return None

    def covering_record(self, opened: DecodedLine) -> LegalHold | None:
        """Return the first hold because of which the record must stay, or None."""
        return next((hold for hold in self.holds if hold.covers_record(opened)), None)


def holds_of(records: Iterable[Record]) -> list[LegalHold]:
    """Return all holds that these `hold` records place, with the time of an early end."""
    found: dict[int, LegalHold] = {}
    for record in records:
        start = record.fields.get("start")
        if record.fields.get("step") != "ended":
            found[record.index] = _placed(record)
        elif type(start) is int and start in found:
            found[start] = replace(found[start], ended_ms=record.at_ms)
    return list(found.values())


def holds_in_force(folder: Path, now_ms: int, special: Special | None = None) -> HoldsInForce:
    """Return the holds of the log in `folder` that are in force, with the evidence of their cases. Raises `Broken`."""
    log = Log(folder)
    if special is None:
        special = Special.find(folder)
    holds = [hold for hold in holds_of(map(log.get, special.indices["hold"])) if hold.is_in_force(now_ms)]
    cases = frozenset(case for hold in holds for case in hold.covers.cases)
    evidence = _evidence(folder, cases) if cases else {}
    return HoldsInForce(_with_evidence(hold, evidence) for hold in holds)


def _placed(record: Record) -> LegalHold:
    texts = {name: part[name] for part in record.parts for name in ("covers", "duty") if name in part}
    try:
        covers = Covers.parse(texts.get("covers"))
    except Invalid:
        covers = Covers()
    until = record.fields.get("until")
    return LegalHold(record.index, until if type(until) is int else 0, str(texts.get("duty", "")), covers)


def _with_evidence(hold: LegalHold, evidence: Mapping[int, Sequence[int]]) -> LegalHold:
    if not hold.covers.cases:
        return hold
    records = Ranges.of(index for case in hold.covers.cases for index in evidence.get(case, ()))
    return replace(hold, covers=replace(hold.covers, evidence=records))


def _evidence(folder: Path, cases: Collection[int]) -> dict[int, list[int]]:
    """Return for each case the records for which it was opened or which were added to it."""
    found: dict[int, list[int]] = {}
    for opened in scan(folder, ["case"]):
        case = opened.skeleton.get("n")
        about = (opened.skeleton.get(name) for name in ("on", "message"))
        if type(case) is int and case in cases:
            found.setdefault(case, []).extend(index for index in about if type(index) is int and index >= 0)
    return found


def _object(text: object) -> dict[str, Json]:
    try:
        data = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise Invalid("hold: what it covers must be a JSON object")
    return data


def _strings(data: dict[str, Json], name: str, is_one: Callable[[object], bool]) -> frozenset[str]:
    values = data.pop(name, [])
    if not isinstance(values, list) or not all(map(is_one, values)):
        raise Invalid(f"hold: {name} must be a list of " + ("Matrix ids" if name == "persons" else "group codes"))
    return frozenset(cast("list[str]", values))


def _numbers(data: dict[str, Json], name: str) -> frozenset[int]:
    values = data.pop(name, [])
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise Invalid(f"hold: {name} must be a list of case numbers")
    return frozenset(cast("list[int]", values))


def _moment(data: dict[str, Json], name: str) -> int | None:
    value = data.pop(name, None)
    if value is not None and (type(value) is not int or not 0 <= value < 253_402_300_800_000):
        raise Invalid(f"hold: {name} must be milliseconds since 1970")
    return value
