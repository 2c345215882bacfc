"""One record, taken apart: what can never be erased of it, what can, and what holds the two together.

Rules kept here:
- What people wrote, and who they are, is shown for a reason, and the note names them.
- A commitment is computed again for each part that is there, and the page says whether it fits.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from bot.console.record_rows import SKELETON, moment_of, people_of, sentence_of
from bot.console.visit import Bad, NoPage, Route, Visit
from moderation.values.errors import Broken, Invalid
from moderation.values.ids import RoomId
from storage import queries
from storage.journal.line_format import BadLine, DecodedLine, erased_by, is_committed, open_line
from storage.journal.newest import newest_below
from storage.journal.reader import Log
from storage.journal.record_kinds.kind import Kind
from storage.journal.record_kinds.table import KINDS
from storage.journal.retention.purge import read_min_index
from storage.journal.search import line_index
from storage.journal.transparency.checkpoint import Checkpoint

from .records import wording

QUOTED = ("reason", "excerpt", "matched", "words", "detail", "body")
_TOLD = frozenset({"p", "s", "as", "mxid", *QUOTED})
# Fields that name a record or a case.
_LEADS = dict.fromkeys(("on", "undoes", "late", "start", "message"), "/records") | {"n": "/cases"}
_LATEST_MS = 253_402_300_800_000  # the end of the year 9999
_LONGEST = 20_000  # characters of one text on the page


@dataclass(frozen=True, slots=True)
class SkeletonField:
    """A field of the skeleton: where it leads, the time that it tells (0: none), and what it means."""

    name: str
    value: Any
    href: str
    at_ms: int
    meaning: str
    is_english: bool


@dataclass(frozen=True, slots=True)
class RecordPart:
    """One part of a record. `who` and what follows are empty until a reason was given."""

    commitment: str
    state: str  # fits | differs | erased
    pseudonym: str = ""
    erased: str = ""  # the day
    by: int = -1  # the record that erased it
    role: str = ""
    who: str = ""
    quotes: tuple[tuple[str, str], ...] = ()
    rest: str = ""


async def record(visit: Visit) -> web.StreamResponse:
    """Show a record."""
    index = visit.number("index")
    opened, size = await asyncio.to_thread(_read, visit.site.log, index)
    shown = visit.site.readings.is_open(visit.visitor, f"record {index}")
    skeleton: Mapping[str, Any] = opened.skeleton
    if visit.wants_json:
        return visit.page("record.html", json={**skeleton, **({"x": opened.parts} if shown else {})})
    people = people_of(opened) if shown else []
    rooms = await queries.all_rooms(visit.db)
    names = await queries.display_names(visit.db, people, sorted(rooms))
    codes = {str(code): room for room, code in rooms.items()}
    kind = KINDS.get(skeleton["k"])
    room = await queries.room_by_code(visit.db, str(skeleton.get("g", "")), visit.site.bot)
    return visit.page(
        "record.html",
        section="records",
        index=index,
        fields=[_field(visit, name, value, kind) for name, value in skeleton.items() if name not in SKELETON],
        at_ms=moment_of(skeleton["t"]),
        kind=skeleton["k"],
        kind_key=f"export.kind.{skeleton['k']}" if kind else "",
        group=skeleton.get("g", ""),
        has_page=room is not None and room.purpose == "group",
        room_name=await _name_of_room(visit, codes.get(skeleton.get("g", ""))),
        sentence=sentence_of(opened, wording(visit, names, content=shown)),
        parts=_parts(opened, shown=shown),
        names=names,
        line=orjson.dumps(skeleton, option=orjson.OPT_INDENT_2).decode(),
        leaf=opened.leaf.hex(),
        shown=shown,
        size=size,
    )


def _field(visit: Visit, name: str, value: Any, kind: Kind | None) -> SkeletonField:
    doc = kind.fields[name].doc if kind is not None and name in kind.fields else ""
    known, key = visit.site.catalog, f"export.field.{name}"
    is_english = visit.language == "en" or not known.has(key)  # the documentation of records is
    is_number = type(value) is int and value >= 0
    return SkeletonField(
        name,
        value,
        href=f"{_LEADS[name]}/{value}" if name in _LEADS and is_number and (value or name != "n") else "",
        at_ms=value if is_number and "milliseconds since" in doc and value < _LATEST_MS else 0,
        meaning=doc if is_english else known.text(visit.language, key),
        is_english=is_english,
    )


async def _name_of_room(visit: Visit, room: RoomId | None) -> str:
    names = await queries.room_names(visit.db, [room]) if room is not None else {}
    return names.get(room or "", "")


async def read(visit: Visit) -> web.Response:
    """Take the reason for reading a record, and show it."""
    index = visit.number("index")
    opened, _ = await asyncio.to_thread(_read, visit.site.log, index)
    about: dict[str, Any] = {"what": "console", "record": index, "person": people_of(opened)}
    await visit.site.readings.open(
        visit.visitor, f"record {index}", visit.now_ms, reason=visit.said("reason"), about=about
    )
    return visit.see_other(f"/records/{index}")


def _read(log: Log, index: int) -> tuple[DecodedLine, int]:
    """Return a record, and how many records are signed. Raises `NoPage`, or `Bad` if it was purged or is damaged."""
    try:
        return line_of(log, index), signed_size(log)
    except LookupError:
        below = read_min_index(log.folder) or 0
        if index < below:
            raise Bad("console.record.purged", 410, first=str(below)) from None
        raise NoPage from None
    except Broken as error:
        raise Bad("console.records.damaged", 503, why=str(error)) from error


def line_of(log: Log, index: int) -> DecodedLine:
    """Return a record; one of the open day is looked for from the end. Raises `LookupError` and `Broken`."""
    day, _ = next(iter(log.starting_with(index)), (None, 0))
    raw = newest_below(log.folder, index + 1) if day is not None and not day.closed else None
    if raw is None or line_index(raw) != index:
        return log.line(index)
    try:
        return open_line(raw)
    except BadLine as error:
        raise Broken(f"record {index} cannot be read ({error.code})") from error


def signed_size(log: Log) -> int:
    """Return how many records the newest checkpoint covers; 0 if there is none that can be read."""
    try:
        return Checkpoint.of_note((log.folder / "checkpoint").read_text("utf-8")).size
    except (OSError, ValueError, Invalid):
        return 0


def _parts(opened: DecodedLine, *, shown: bool) -> list[RecordPart]:
    stated = opened.skeleton["c"]
    assert isinstance(stated, list)
    return [_part(part, str(commitment), shown=shown) for part, commitment in zip(opened.parts, stated, strict=True)]


def _part(part: Any, commitment: str, *, shown: bool) -> RecordPart:
    by = erased_by(part)
    if by is not None:
        return RecordPart(commitment, "erased", erased=str(part["erased"]), by=by)
    state = "fits" if is_committed(part, commitment) else "differs"
    if not isinstance(part, Mapping):
        return RecordPart(commitment, state, rest=_text(part) if shown else "")
    pseudonym = str(part.get("p", ""))
    if not shown:
        return RecordPart(commitment, state, pseudonym)
    rest = {name: value for name, value in part.items() if name not in _TOLD}
    return RecordPart(
        commitment,
        state,
        pseudonym,
        role=_role(part),
        who=str(part.get("mxid", "")),
        quotes=tuple((name, _text(part[name])) for name in QUOTED if part.get(name) not in (None, "")),
        rest=_text(rest) if rest else "",
    )


def _role(part: Mapping[str, Any]) -> str:
    role = part.get("as", "sender") if "mxid" in part else ""
    return role if role in ("sender", "subject", "by", "target") else ""


def _text(value: Any) -> str:
    said = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return said if len(said) <= _LONGEST else said[:_LONGEST] + "…"


ROUTES = (
    Route("GET", "/records/{index}", record, who="operator"),
    Route("POST", "/records/{index}/read", read, who="operator"),
)
