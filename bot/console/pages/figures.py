"""Figures of a period for a transparency report: a page to read, a table for a spreadsheet, and JSON."""

import csv
import datetime as dt
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from bot.console.visit import Bad, Route, Visit
from storage.queries import RuleFigures, TransparencyFigures, transparency_figures

LONGEST = dt.timedelta(days=3_660)
FIRST, LAST = 1980, 2999  # years
_DAY = dt.timedelta(days=1)

Json = dict[str, Any]


async def figures(visit: Visit) -> web.Response:
    """Show the figures of a period."""
    since, until = _period(visit)
    found = await _found(visit, since, until)
    return visit.page(
        "figures.html",
        section="figures",
        since=since.isoformat(),
        until=until.isoformat(),
        periods=list(_periods(_today(visit))),
        figures=found,
        json=as_json(found, since, until),
    )


async def spreadsheet(visit: Visit) -> web.Response:
    """Return the same as comma-separated values, a figure a row."""
    since, until = _period(visit)
    text = io.StringIO()
    found = as_json(await _found(visit, since, until), since, until)
    csv.writer(text).writerows((("figure", "of", "value"), *_rows(found)))
    name = f"figures-{since}-{until}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(text=text.getvalue(), content_type="text/csv", charset="utf-8", headers=headers)


def _period(visit: Visit) -> tuple[dt.date, dt.date]:
    """Return the first and the last day that were asked for; without any, this month up to today."""
    today = _today(visit)
    try:
        until = dt.date.fromisoformat(visit.said("until") or today.isoformat())
        since = dt.date.fromisoformat(visit.said("since") or until.replace(day=1).isoformat())
    except ValueError:
        raise Bad("console.figures.bad_day") from None
    if not dt.timedelta() <= until - since <= LONGEST or not FIRST <= until.year <= LAST:
        raise Bad("console.figures.bad_period")
    return since, until


def _today(visit: Visit) -> dt.date:
    return dt.datetime.fromtimestamp(visit.now_ms / 1000, _zone(visit)).date()


def _periods(today: dt.date) -> Iterator[tuple[str, str, str]]:
    """Yield periods to choose from: their names, and their first and last days."""
    before = today.replace(day=1) - _DAY
    yield "last_month", before.replace(day=1).isoformat(), before.isoformat()
    yield "this_month", today.replace(day=1).isoformat(), today.isoformat()
    yield "last_year", f"{today.year - 1}-01-01", f"{today.year - 1}-12-31"
    yield "this_year", f"{today.year}-01-01", today.isoformat()


async def _found(visit: Visit, since: dt.date, until: dt.date) -> TransparencyFigures:
    days = (since, until + _DAY)
    begin, end = (int(dt.datetime.combine(day, dt.time(), _zone(visit)).timestamp() * 1000) for day in days)
    return await transparency_figures(visit.db, begin, end, visit.rights.only)


def _zone(visit: Visit) -> ZoneInfo:
    return ZoneInfo(visit.site.config.bot.timezone)


def as_json(found: TransparencyFigures, since: dt.date, until: dt.date) -> Json:
    """Return the figures under the names that the spreadsheet has too."""
    said = asdict(found)
    rules = [{**asdict(each), **_shares(each)} for each in found.rules]
    return {"since": since.isoformat(), "until": until.isoformat(), **said, "rules": rules}


def _shares(each: RuleFigures) -> Json:
    rates = {"error_rate": each.error_rate, "precision": each.precision}
    return {"cases": each.cases, **{name: None if rate is None else round(rate, 4) for name, rate in rates.items()}}


def _rows(said: Json) -> Iterator[tuple[str, str, Any]]:
    for name, value in said.items():
        if isinstance(value, dict):
            yield from ((name, of, count) for of, count in value.items())
        elif isinstance(value, list):
            yield from ((f"rule_{what}", each["rule"], each[what]) for each in value for what in each if what != "rule")
        else:
            yield name, "", value


ROUTES = (
    Route("GET", "/figures", figures, menu="figures"),
    Route("GET", "/figures.csv", spreadsheet),
)
