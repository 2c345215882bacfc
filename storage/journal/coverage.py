"""Looks through the records for what the bot did not see, by room and time, and why; and for when it did not run.

What was posted while the bot did not run is fetched when it starts; what could not be fetched is a gap, and listed.

Rules kept here:
- What could be read later is not listed.
- No content is read.
Left to others: noticing it (`bot/sync/backfill.py`, `bot/events/parse_event.py`), words for it (`bot/cli/logs/`).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from moderation.values.errors import Broken

from .days import DamagedDay, DayLines, list_days
from .line_format import BadLine, open_line, time_text
from .query import Query
from .report import Progress

_MOST_NUMBERS = 1_000  # of records, kept for one row


@dataclass(slots=True, kw_only=True)
class Unseen:
    """The events that one room lacks on one day, for one reason."""

    room: str | None
    what: str
    code: str | None
    count: int = 0
    first: str
    last: str = ""
    records: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Off:
    """A time in which the bot did not run. `since` is None if it died, since nothing was recorded then."""

    since: str | None
    until: str | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """All that was not seen, oldest first."""

    unseen: list[Unseen]
    off: list[Off]

    def as_json(self) -> dict[str, Any]:
        """Return it as `logs coverage --json` and the console show it."""
        off = [{"from": each.since, "to": each.until, "stopped": each.since is not None} for each in self.off]
        return {"unseen": [asdict(each) for each in self.unseen], "off": off}


def coverage_of(folder: Path, query: Query, progress: Progress | None = None) -> Coverage:
    """Go through the records that say something was not seen. Raises `Broken` at a damaged line."""
    unseen: dict[int, dict[str, Any]] = {}  # by record
    off: list[Off] = []
    stopped: str | None = None
    runs = False
    for skeleton, asked in _skeletons(folder, query, progress):
        at = str(skeleton["t"])
        if not asked:
            _learn(unseen, skeleton)
            continue
        match skeleton["k"]:
            case "coverage" if skeleton.get("what") != "withheld":
                if not query.groups or skeleton.get("g") in query.groups:
                    unseen[skeleton["i"]] = skeleton
            case "stop":
                stopped, runs = at, False
            case "start":
                if stopped is not None or runs:
                    off.append(Off(stopped, at))
                stopped, runs = None, True
            case _:
                _learn(unseen, skeleton)
    if stopped is not None:
        off.append(Off(stopped, None))
    rows: dict[tuple[str | None, str, str | None, str], Unseen] = {}
    for skeleton in unseen.values():
        _add(rows, skeleton)
    return Coverage(list(rows.values()), off)


def _learn(unseen: dict[int, dict[str, Any]], skeleton: dict[str, Any]) -> None:
    """Take in what was learnt later: an event was read after all, or why it cannot be."""
    if skeleton.get("what") == "withheld" and skeleton.get("on") in unseen:
        unseen[skeleton["on"]]["code"] = skeleton.get("code")
    unseen.pop(skeleton.get("late", -1), None)


def _add(rows: dict[tuple[str | None, str, str | None, str], Unseen], skeleton: dict[str, Any]) -> None:
    at, what, group = str(skeleton["t"]), str(skeleton.get("what", "-")), skeleton.get("g")
    code = str(skeleton.get("code", "-")) if what == "undecryptable" else None
    row = rows.setdefault((group, what, code, at[:10]), Unseen(room=group, what=what, code=code, first=at))
    row.last = at
    count = skeleton.get("count", 0) or 0
    row.count += count // 60_000 if what == "down" else count
    if len(row.records) < _MOST_NUMBERS:
        row.records.append(skeleton["i"])


def _skeletons(folder: Path, query: Query, progress: Progress | None) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield skeletons that may matter, and whether they are of the time asked about, not learnt after it."""
    days = [day for day in list_days(folder / "day") if replace(query, until_ms=None).may_be_in(day)]
    since = "" if query.since_ms is None else time_text(query.since_ms)
    until = "~" if query.until_ms is None else time_text(query.until_ms)
    needles = [b'"k":"coverage"', b'"k":"start"', b'"k":"stop"', b'"late":']
    for done, day in enumerate(days):
        if progress:
            progress(done, len(days))
        number = 0
        try:
            for number, raw in DayLines(day.path).holding(needles):  # noqa: B007  (told below)
                skeleton = open_line(raw).skeleton
                at = str(skeleton["t"])
                if at >= since and (skeleton["k"] in ("coverage", "start", "stop") or "late" in skeleton):
                    yield dict(skeleton), at < until
        except (BadLine, DamagedDay) as error:
            raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error
