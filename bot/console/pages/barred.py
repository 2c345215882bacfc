"""The list of people who are kept out of every protected room."""

import datetime as dt
import re
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from bot.console.ordering import order
from bot.console.visit import Bad, Route, Visit
from moderation.values.ids import is_user_id
from storage import queries

_MOST_EVIDENCE = 50
_CASE = re.compile(r"[0-9]{1,9}\Z")


async def barred(visit: Visit) -> web.Response:
    """List those on it, and those who were."""
    found = await queries.barred_entries(visit.db)
    until = dt.datetime.fromtimestamp((visit.now_ms + visit.site.policy.tiers.barred_for) / 1000, _zone(visit)).date()
    return visit.page(
        "barred.html",
        section="tasks",
        entries=[each for each in found if not each.ended],
        ended=[each for each in reversed(found) if each.ended],
        until=until.isoformat(),
        json=[_json(each) for each in found if not each.ended],
    )


def _json(entry: queries.ListedBar) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if name not in ("ended", "why_ended")}


async def add(visit: Visit) -> web.Response:
    """Put somebody on it."""
    asked = {"person": _person(visit), "until": _until(visit), "evidence": _evidence(visit)}
    await order(visit, "bar", room=visit.said("room"), **asked)
    return visit.see_other("/barred")


async def remove(visit: Visit) -> web.Response:
    """Take somebody off it."""
    await order(visit, "unbar", person=_person(visit))
    return visit.see_other("/barred")


def _person(visit: Visit) -> str:
    person = visit.said("person")
    if not is_user_id(person):
        raise Bad("console.tasks.bad_person")
    return person


def _until(visit: Visit) -> int:
    """Return the end of the day that was typed. Raises `Bad` unless it is to come."""
    try:
        day = dt.date.fromisoformat(visit.said("until"))
        end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), _zone(visit))
        until = int(end.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Bad("console.barred.bad_day") from None
    if until <= visit.now_ms:
        raise Bad("console.barred.bad_day")
    return until


def _evidence(visit: Visit) -> list[int]:
    numbers = visit.said("evidence").replace(",", " ").split()
    if len(numbers) > _MOST_EVIDENCE or not all(_CASE.match(each) for each in numbers):
        raise Bad("console.barred.bad_cases")
    return [int(each) for each in numbers]


def _zone(visit: Visit) -> ZoneInfo:
    return ZoneInfo(visit.site.config.bot.timezone)


ROUTES = (
    Route("GET", "/barred", barred, who="operator"),
    Route("POST", "/barred", add, who="operator"),
    Route("POST", "/barred/remove", remove, who="operator"),
)
