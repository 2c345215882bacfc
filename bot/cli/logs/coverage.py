"""`answerable logs coverage`: what the bot did not see, by room and time, and why; and when it did not run.

It tells no content, so no reason is needed. ``--json``: an object with the keys `unseen` (objects with `room` (group
code, or null), `what`, `code` (of "undecryptable": why, as known by now; else null), `count` (of "down": minutes),
`first` and `last` (times), `records` (numbers of the records that say so)) and `off` (objects with `from` and `to`
(times, or null where not known) and `stopped`: in good order). What could be read later is not listed.

What was posted while the bot did not run is fetched when it starts; what could not be fetched is a gap, and listed.
Left to others: noticing it (`bot/sync/backfill.py`, `bot/events/parse_event.py`).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.cli.access.access_reason import DataDir, Room, Since, Until, data_dir_of, moment_of, query_of
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile
from bot.cli.terminal.output import as_json, say, text
from bot.cli.terminal.progress import Bar, progress
from bot.texts.catalog import Catalog
from moderation.values.errors import Broken

if TYPE_CHECKING:
    from storage.journal.query import Query

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
    """A time in which the bot did not run. `since` is None if it died: nobody wrote down when."""

    since: str | None
    until: str | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """All that was not seen, oldest first."""

    unseen: list[Unseen]
    off: list[Off]


def coverage(
    room: Room = None,
    since: Since = None,
    until: Until = None,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Tell what was not seen."""
    folder, now = data_dir_of(data_dir, config_file) / "records", now_ms()
    query = query_of(folder, room, None, (), moment_of(since, now), moment_of(until, now))
    with progress() as bar:
        found = look(folder, query, bar)
    if json:
        as_json({"unseen": [asdict(row) for row in found.unseen], "off": [_off_json(off) for off in found.off]})
        return
    for row in found.unseen:
        say("cli.logs.unseen_row", room=row.room or "-", what=_why(row), count=row.count, when=_when(row),
            record=str(row.records[0]))  # fmt: skip
    for off in found.off:
        _tell_off(off)
    if not found.unseen:
        say("cli.logs.unseen_none")


def look(folder: Path, query: "Query", bar: Bar | None = None) -> Coverage:
    """Go through the records that say something was not seen. Raises `Broken` at a damaged line."""
    unseen: dict[int, dict[str, Any]] = {}  # by record
    off: list[Off] = []
    stopped: str | None = None
    runs = False
    for skeleton, asked in _skeletons(folder, query, bar):
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


def _skeletons(folder: Path, query: "Query", bar: Bar | None) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield skeletons that may matter, and whether they are of the time asked about, not learnt after it."""
    from storage.journal.days import DamagedDay, DayLines, list_days
    from storage.journal.line_format import BadLine, open_line, time_text

    days = [day for day in list_days(folder / "day") if replace(query, until_ms=None).may_be_in(day)]
    since = "" if query.since_ms is None else time_text(query.since_ms)
    until = "~" if query.until_ms is None else time_text(query.until_ms)
    needles = [b'"k":"coverage"', b'"k":"start"', b'"k":"stop"', b'"late":']
    for done, day in enumerate(days):
        if bar:
            bar(text("cli.logs.looking"), done, len(days))
        number = 0
        try:
            for number, raw in DayLines(day.path).holding(needles):  # noqa: B007  (told below)
                skeleton = open_line(raw).skeleton
                at = str(skeleton["t"])
                if at >= since and (skeleton["k"] in ("coverage", "start", "stop") or "late" in skeleton):
                    yield dict(skeleton), at < until
        except (BadLine, DamagedDay) as error:
            raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error


def _why(row: Unseen) -> str:
    known, key = Catalog.load(), f"cli.logs.unseen.{row.what}"
    what = text(key) if known.has(key) else row.what
    if row.code in (None, "-"):
        return what
    key = f"cli.logs.sealed.{row.code.removeprefix('m.').replace('_', '-')}"
    return text("cli.logs.unseen_because", what=what, why=text(key) if known.has(key) else row.code)


def _when(row: Unseen) -> str:
    first, last = _minute(row.first), _minute(row.last)
    return first if first == last else f"{first} - {last[11:]}"


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")


def _tell_off(off: Off) -> None:
    until = _minute(off.until) if off.until else ""
    if off.since is None:
        say("cli.logs.off_died", until=until)
    elif off.until is None:
        say("cli.logs.off_still", since=_minute(off.since))
    else:
        say("cli.logs.off", since=_minute(off.since), until=until)


def _off_json(off: Off) -> dict[str, Any]:
    return {"from": off.since, "to": off.until, "stopped": off.since is not None}
