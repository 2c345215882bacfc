"""The first page: open work, this week, the log, and the state of the bot."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.console.draw.days import DayCounts, draw_days
from bot.console.draw.svg import DrawingWords
from bot.console.visit import Route, Visit
from moderation.values.durations import DAY_MS
from moderation.values.errors import Invalid
from storage import queries
from storage.journal.transparency.checkpoint import Checkpoint
from storage.state import anchor_progress

NEXT = 8  # cases that are shown
DAYS = 7
DRAWN = ("message", "finding")


async def overview(visit: Visit) -> web.Response:
    """Show it, for the rooms that the visitor may see."""
    page = await queries.queue_page(visit.db, queries.QueueFilter(rooms=visit.rights.only), NEXT)
    counts = await queries.queue_counts(visit.db, queries.QueueFilter(rooms=visit.rights.only))
    tasks = len(await queries.open_tasks(visit.db)) if visit.rights.everything else 0
    first = visit.now_ms // DAY_MS - DAYS + 1
    week = await queries.daily_counts(visit.db, first, first + DAYS, visit.rights.only)
    bot, log = await _bot(visit), await _log(visit)
    rooms = {row.room for row in page.rows}
    return visit.page(
        "overview.html",
        section="overview",
        rows=page.rows,
        whole=counts.whole,
        tasks=tasks,
        bot=bot,
        log=log,
        week=_drawn(visit, first, week),
        names={
            **await queries.room_names(visit.db, rooms),
            **await queries.display_names(visit.db, {row.subject for row in page.rows}, sorted(rooms)),
        },
        json={
            "waiting": counts.whole,
            "tasks": tasks,
            "next": [{"n": row.n, "room": row.code, "rule": row.rule, "due": row.due} for row in page.rows],
            "week": [{"day": day, "kind": kind, "count": count} for (day, kind), count in sorted(week.items())],
            "bot": bot,
            "log": log,
        },
    )


def _drawn(visit: Visit, first: int, week: Any) -> Any:
    text = visit.site.catalog.text
    series = [
        DayCounts(
            text(visit.language, f"console.counted.{kind}"),
            [week.get((first + day, kind), 0) for day in range(DAYS)],
            grave=kind == "finding",
        )
        for kind in DRAWN
    ]
    words = DrawingWords(visit.site.catalog, visit.language)
    return draw_days(first * DAY_MS, series, text(visit.language, "console.overview.week"), words)


async def _bot(visit: Visit) -> dict[str, Any]:
    """Return how the bot is: when it last heard its homeserver (0: never) and, for operators, what waits."""
    heard = await visit.last_heard()
    said = {"heard": heard, "is_silent": visit.is_silent(heard)}
    if not visit.rights.everything:
        return said
    numbers = await queries.vital_numbers(visit.db, visit.now_ms, visit.now_ms)
    return {**said, "waiting": numbers.waiting, "gaps": numbers.gaps}


async def _log(visit: Visit) -> dict[str, Any]:
    """Return how many records there are, and which of them are signed, since when."""
    if not visit.rights.everything:  # how fast the log grows says what happens in other rooms
        return {}
    records = int(await queries.get_meta(visit.db, "applied") or 0)
    size, at = await asyncio.to_thread(_signed, visit.site.data_dir / "records" / "checkpoint")
    return {
        "records": records,
        "signed": size,
        "signed_at": at,
        "last_day": await anchor_progress.last_day(visit.db) or "",
        "has_witness": visit.site.config.anchors.witness_url is not None,
    }


def _signed(path: Path) -> tuple[int, int]:
    """Return how many records the newest checkpoint covers, and when it was written (0, 0: there is none)."""
    try:
        return Checkpoint.of_note(path.read_text("utf-8")).size, path.stat().st_mtime_ns // 1_000_000
    except (OSError, Invalid):
        return 0, 0


ROUTES = (Route("GET", "/", overview, menu="overview"),)
