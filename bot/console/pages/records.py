"""The records, newest first: all, or those that fit, with or without what people wrote.

Rules kept here:
- Nobody is named and nothing is quoted before a reason was given; for a text or a person, the reason comes before the
  search. A reason is for what was asked for, and on each page everybody is noted who is named there.
- What is asked for more than "all" is looked for by a process of its own, and sent as it is found.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web
from markupsafe import Markup

from bot.console.jobs import work
from bot.console.reading import Unrecorded
from bot.console.record_rows import json_of, people_in, row_of
from bot.console.streaming import StreamedPage
from bot.console.visit import Bad, Route, Visit, is_number
from bot.texts.record_words import Wording
from moderation.values.errors import Refused
from moderation.values.ids import is_group_code, is_user_id
from storage import queries
from storage.journal.newest import newest_first
from storage.journal.query import Query
from storage.journal.record_kinds.table import KINDS
from storage.journal.search import line_index

MOST_LISTED = 50
MOST_FOUND = 200  # by one search; a link goes on
_LONGEST = 200  # characters of what is looked for
_END = 10**15 - 1  # above every record
_HERE = "<!--rows-->"  # where the rows stand in the page
_NAMES = ("q", "kind", "room", "person", "case", "since", "until")

# What is chosen together, by the kinds of records.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "said": ("message", "withheld", "edit", "redact", "media"),
    "cases": ("report", "finding", "case", "decision", "appeal", "statement", "sanction", "credit", "outcome"),
    "people": ("join", "leave", "role", "verify", "duty", "identity", "request", "disclosure"),
    "rooms": ("state", "rules", "notice"),
    "reading": ("access", "export", "dossier", "approver", "task"),
    "log": ("genesis", "start", "stop", "coverage", "anchor", "erase", "hold", "purge", "restore"),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """A search of the records. `typed` holds the fields of the form as they were typed."""

    query: Query
    words: str
    below: int
    typed: Mapping[str, str]

    @property
    def is_all(self) -> bool:
        """True if all records are asked for."""
        return not self.typed

    @property
    def key(self) -> str:
        """The reading that a reason is given for."""
        return f"records {urlencode(self.typed)}"

    def address(self, **more: str) -> str:
        """Return the page with these filters."""
        asked = urlencode({name: value for name, value in {**self.typed, **more}.items() if value})
        return f"/records?{asked}" if asked else "/records"

    def noted(self) -> dict[str, Any]:
        """Return what a note says of it, as the command line says it."""
        named: dict[str, Any] = {**self.typed, **({"case": self.query.case} if self.query.case else {})}
        words = named.pop("q", "")
        page = {"before": self.below} if self.below < _END else {}
        return {"what": "search", "text": words, **named, **page} if words else {**named, "last": MOST_LISTED, **page}

    @property
    def asks_first(self) -> bool:
        """True if a reason comes before the search, since a hit alone would say something of somebody."""
        return bool(self.words or self.query.person)


async def filters_of(visit: Visit) -> Filters:
    """Return what the form says. Raises `Bad`."""
    typed = {name: said for name in _NAMES if (said := visit.said(name))}
    kind, person, case = typed.get("kind", ""), typed.get("person", ""), typed.get("case", "0")
    kinds = frozenset(TOPICS.get(kind, (kind,) if kind else ()))
    if kinds - KINDS.keys() or (person and not is_user_id(person)) or len(typed.get("q", "")) > _LONGEST:
        raise Bad("console.records.bad_filter")
    query = Query(
        groups=frozenset({await _group(visit, typed["room"])} if "room" in typed else ()),
        person=person,
        kinds=kinds,
        case=_number(case),
        since_ms=day_of_form(typed["since"]) if "since" in typed else None,
        until_ms=day_of_form(typed["until"], 1) if "until" in typed else None,
    )
    return Filters(query, typed.get("q", ""), _number(visit.said("before") or str(_END)), typed)


def _number(typed: str) -> int:
    if not is_number(typed):
        raise Bad("console.records.bad_filter")
    return int(typed)


def day_of_form(typed: str, later: int = 0) -> int:
    """Return the beginning of a day of UTC, or of one some days later."""
    try:
        day = dt.datetime.combine(dt.date.fromisoformat(typed), dt.time(), dt.UTC) + dt.timedelta(days=later)
        return max(0, int(day.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise Bad("console.records.bad_filter") from None


async def _group(visit: Visit, typed: str) -> str:
    """Return the code of the room that was chosen or typed."""
    labels = await queries.room_labels(visit.db)
    for each in labels:
        if typed.casefold() in (each.code.casefold(), each.room.casefold(), each.name.casefold()):
            return each.code
    raise Bad("console.records.bad_filter")


async def records(visit: Visit) -> web.StreamResponse:
    """Show the records."""
    filters = await filters_of(visit)
    opened = visit.site.readings.is_open(visit.visitor, filters.key)
    if filters.asks_first and not opened:
        if visit.wants_json:
            raise Bad("console.records.reason_first", 403)
        return await _whole(visit, filters, [], content=False)
    if filters.is_all:
        lines = await asyncio.to_thread(_newest, visit, filters.below)
        if opened:
            await _note(visit, filters, lines)
        return await _whole(visit, filters, lines, content=opened)
    stop = visit.site.jobs.begin_search(visit.visitor.key)
    if stop is None:
        raise Bad("console.records.busy", 503)
    found = _found(visit, filters, stop)
    if opened:
        found = _noted(visit, filters, found)
    if visit.wants_json:
        return StreamedPage(_json_pieces(found, content=opened), "application/json")
    page = await _page(visit, filters, _HERE, content=opened)
    return StreamedPage(_pieces(visit, filters, found, page, content=opened))


async def read(visit: Visit) -> web.Response:
    """Take the reason for reading what fits, and show it."""
    filters = await filters_of(visit)
    about = filters.noted()
    await visit.site.readings.open(visit.visitor, filters.key, visit.now_ms, reason=visit.said("reason"), about=about)
    return web.Response(status=303, headers={"Location": filters.address()})


async def stop(visit: Visit) -> web.Response:
    """End the search of this session; the browser stays on its page (RFC 9110, 15.3.5)."""
    visit.site.jobs.end_search(visit.visitor.key)
    return web.Response(status=204)


def _newest(visit: Visit, below: int) -> list[bytes]:
    return list(newest_first(visit.site.data_dir / "records", Query(), below=below, most=MOST_LISTED))


async def _found(visit: Visit, filters: Filters, stop: asyncio.Event) -> AsyncGenerator[bytes]:
    """Yield the lines that fit, newest first, and b"" now and then. Raises `Bad` if it cannot read to the end."""
    query = filters.query
    asked = {
        "records": str(visit.site.data_dir / "records"),
        **{name: sorted(getattr(query, name)) for name in ("groups", "kinds")},
        **{name: getattr(query, name) for name in ("person", "case", "since_ms", "until_ms")},
        "words": filters.words,
        "below": filters.below,
        "most": MOST_FOUND,
    }
    try:
        async with aclosing(work("search", asked, stop)) as said:
            async for each in said:
                yield each["found"].encode() if "found" in each else b""
                if "failed" in each:
                    raise Bad("console.records.damaged", 503, why=each["failed"].get("text", ""))
    finally:
        visit.site.jobs.end_search(visit.visitor.key, stop)


async def _noted(visit: Visit, filters: Filters, found: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the same, some at a time, after it is noted whom they name."""
    held: list[bytes] = []
    damage: Bad | None = None
    async with aclosing(found):
        try:
            async for raw in found:
                if raw:
                    held.append(raw)
                if len(held) < MOST_LISTED and raw:
                    continue
                await _note(visit, filters, held)
                for each in (*held, b""):
                    yield each
                held.clear()
        except Bad as bad:
            damage = bad
    await _note(visit, filters, held)
    for each in held:
        yield each
    if damage is not None:
        raise damage


async def _note(visit: Visit, filters: Filters, lines: Sequence[bytes]) -> None:
    readings, about = visit.site.readings, filters.noted()
    await readings.also(visit.visitor, filters.key, visit.now_ms, people_in(lines), about)


async def _pieces(
    visit: Visit, filters: Filters, found: AsyncGenerator[bytes], page: str, *, content: bool
) -> AsyncGenerator[str]:
    """Yield the page up to its rows, each row as it is found, and the rest."""
    before, _, after = page.partition(_HERE)
    yield before
    count, oldest, problem = 0, 0, ""
    async with aclosing(found):
        try:
            async for raw in found:
                if not raw:
                    yield "\n"  # so that it is noticed if nobody reads any more
                    continue
                oldest, count = max(line_index(raw), 0) or oldest, count + 1
                yield _rows(visit, [raw], await _names(visit, [raw], content=content), content=content)
        except Bad as bad:
            problem = visit.site.catalog.text(visit.language, bad.key, why=str(bad.fields["why"]))
        except Unrecorded as error:
            problem = visit.site.catalog.text(visit.language, "console.problem.not_noted", why=str(error))
        except Refused as refused:
            problem = visit.site.catalog.text(visit.language, refused.key)
    more = filters.address(before=str(oldest)) if count == MOST_FOUND else ""
    fields = {"count": count, "more": more, "problem": problem}
    yield visit.site.pages.html("records_end.html", visit.language, visit=visit, **fields)
    yield after


async def _json_pieces(found: AsyncGenerator[bytes], *, content: bool) -> AsyncGenerator[str]:
    """Yield the same as JSON. If the log cannot be read to the end, it breaks off."""
    between = "["
    async with aclosing(found):
        async for raw in found:
            if not raw:
                continue
            yield between + orjson.dumps(json_of(raw, content=content)).decode()
            between = ","
    yield "[]" if between == "[" else "]"


async def _whole(visit: Visit, filters: Filters, lines: Sequence[bytes], *, content: bool) -> web.Response:
    if visit.wants_json:
        return visit.page("records.html", json=[json_of(raw, content=content) for raw in lines])
    names = await _names(visit, lines, content=content)
    oldest = min((index for index in map(line_index, lines) if index >= 0), default=0)
    more = filters.address(before=str(oldest)) if len(lines) == MOST_LISTED else ""
    text = await _page(visit, filters, _rows(visit, lines, names, content=content), content=content, more=more)
    return web.Response(text=text, content_type="text/html", charset="utf-8")


async def _page(visit: Visit, filters: Filters, rows: str, *, content: bool, more: str = "") -> str:
    labels = [each for each in await queries.room_labels(visit.db) if is_group_code(each.code)]
    return visit.site.pages.html(
        "records.html",
        visit.language,
        visit=visit,
        section="records",
        filters=filters,
        rows=Markup(rows),  # noqa: S704 - a template of ours
        streamed=rows == _HERE,
        content=content,
        more=more,
        labels=labels,
        topics=TOPICS,
        kinds=sorted(KINDS),
    )


def _rows(visit: Visit, lines: Sequence[bytes], names: Mapping[str, str], *, content: bool) -> str:
    words = wording(visit, names, content=content)
    rows = [row_of(raw, words) for raw in lines]
    return visit.site.pages.html("records_rows.html", visit.language, rows=rows)


def wording(visit: Visit, names: Mapping[str, str], *, content: bool) -> Wording:
    """Return the words for records on a page."""
    server = visit.site.config.server
    return Wording(lambda user: names.get(user, ""), server, visit.now_ms, content=content, language=visit.language)


async def _names(visit: Visit, lines: Sequence[bytes], *, content: bool) -> Mapping[str, str]:
    """Return the display names of the people in these lines, from the tables as they are now."""
    people = people_in(lines) if content else ()
    if not people:
        return {}
    async with visit.site.read() as db:
        return await queries.display_names(db, people, sorted(await queries.all_rooms(db)))


ROUTES = (
    Route("GET", "/records", records, who="operator", menu="records"),
    Route("POST", "/records/read", read, who="operator"),
    Route("POST", "/records/stop", stop, who="operator"),
)
