"""The gaps in the records, as strips: times when the bot did not run, and events missing of each room."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from bot.console.draw.strip import Lane, Stretch, draw_strip
from bot.console.draw.svg import DrawingWords
from bot.console.jobs import Job
from bot.console.record_rows import moment_of
from bot.console.visit import Bad, Route, Visit
from moderation.values.durations import DAY_MS, MS_PER
from moderation.values.errors import Broken
from storage import queries
from storage.journal.reader import Log

SPANS = (7, 30, 90, 365)  # days
_PATIENCE_S = 1.0  # a page waits as long; after it, it says that the work goes on
_FRESH_MS = 30_000  # for how long what was found is shown again
REFRESH_S = 2
_MOST_ROWS = 200
_SHORTEST_MS = MS_PER["m"]


async def coverage(visit: Visit) -> web.Response:
    """Show what was not seen."""
    days = visit.said("days") or "30"
    if days not in map(str, SPANS):
        raise Bad("console.records.bad_filter")
    since_ms = visit.now_ms - int(days) * DAY_MS
    job = await _job(visit, days, since_ms)
    fields: dict[str, Any] = {"job": job, "days": int(days), "spans": SPANS, "section": "records"}
    if job.state != "done":
        return visit.page(
            "coverage.html", refresh=REFRESH_S if job.state == "running" else 0, json={"state": job.state}, **fields
        )
    unseen, off = job.result["unseen"], job.result["off"]
    words = DrawingWords(visit.site.catalog, visit.language)
    labels = {str(each.code): each.name for each in await queries.room_labels(visit.db)}
    began_ms = await asyncio.to_thread(_began, visit.site.log, visit.now_ms)
    whole = [Stretch(since_ms, began_ms, "unknown"), Stretch(max(began_ms, since_ms), visit.now_ms, "there")]
    lanes = [Lane(words.text("console.coverage.bot"), [*whole, *_off(off, since_ms)])]
    for code in dict.fromkeys(row["room"] or "" for row in unseen):
        name = f"{code} {labels.get(code, '')}".strip() or words.text("console.coverage.everywhere")
        lanes.append(Lane(name, [*whole, *(_gap(row) for row in unseen if (row["room"] or "") == code)]))
    title = words.text("console.records.tab.coverage")
    return visit.page(
        "coverage.html",
        refresh=0,
        drawn=draw_strip(since_ms, visit.now_ms, lanes, title, words),
        unseen=[_row(visit, each) for each in reversed(unseen[-_MOST_ROWS:])],
        labels=labels,
        json=job.result,
        **fields,
    )


async def _job(visit: Visit, days: str, since_ms: int) -> Job:
    """Return the newest look for what was not seen, or begin one, and wait a moment for it."""
    jobs = visit.site.jobs
    job = next(iter(jobs.of_kind(f"coverage {days}")), None)
    if job is None or (job.state != "running" and visit.now_ms - job.at_ms >= _FRESH_MS):
        asked = {"records": str(visit.site.data_dir / "records"), "since_ms": since_ms}
        job = jobs.begin("coverage", asked, by=visit.visitor.by, now_ms=visit.now_ms, kind=f"coverage {days}")
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await jobs.finished(job)
    except TimeoutError:
        pass
    return job


def _began(log: Log, now_ms: int) -> int:
    """Return the time of the first record that is kept."""
    try:
        return next((record.at_ms for record in log.read()), now_ms)
    except Broken:
        return now_ms


def _gap(row: Mapping[str, Any]) -> Stretch:
    first, last = moment_of(row["first"]), moment_of(row["last"])
    return Stretch(first, max(last, first + _SHORTEST_MS), "gap")


def _off(off: list[Mapping[str, Any]], since_ms: int) -> Iterator[Stretch]:
    """Yield the times in which the bot did not run; if it died, nobody knows since when."""
    for each in off:
        until = moment_of(each["to"]) if each["to"] else 2**53
        since = moment_of(each["from"]) if each["from"] else until - _SHORTEST_MS
        yield Stretch(max(since, since_ms), until, "gap" if each["stopped"] else "unknown")


def _row(visit: Visit, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one line of the table: why, in words."""
    catalog = visit.site.catalog
    what, sealed = f"cli.logs.unseen.{row['what']}", (row["code"] or "-").removeprefix("m.").replace("_", "-")
    why = f"cli.logs.sealed.{sealed}"
    return {
        **row,
        "what_key": what if catalog.has(what) else "",
        "why_key": why if sealed != "-" and catalog.has(why) else "",
        "first_ms": moment_of(row["first"]),
        "last_ms": moment_of(row["last"]),
    }


ROUTES = (Route("GET", "/coverage", coverage, who="operator"),)
