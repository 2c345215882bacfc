"""The standing of the people who run rooms: the ledger that keeps account of their duties."""

from typing import Any

from aiohttp import web

from bot.console.visit import Route, Visit
from moderation.credit.credit import balance, effective, tier
from moderation.credit.ledger import settings_of
from storage import queries


async def standing(visit: Visit) -> web.Response:
    """Show everybody with an entry, the lowest first, and note the look."""
    await visit.site.readings.note(visit.visitor, visit.now_ms, about={"what": "credit"})
    found = await _everybody(visit)
    return visit.page("standing.html", section="duty", rows=found, json=found)


async def _everybody(visit: Visit) -> list[dict[str, Any]]:
    """Return the standing of each person, everywhere and in each community that decided something."""
    policy, now = visit.site.policy, visit.now_ms
    ledgers, settings = await queries.entries_by_person(visit.db, "standing"), settings_of("standing", policy)
    found = [
        (balance(counting, now, settings), person, reach, len(effective(counting, now, settings)))
        for person, entries in ledgers.items()
        if person
        for reach in sorted({each.reach for each in entries})
        for counting in [[each for each in entries if each.reach in ("", reach)]]
    ]
    return [
        {
            "person": person,
            "community": reach or None,
            "standing": left,
            "tier": tier(left, policy.tiers),
            "entries": count,
        }
        for left, person, reach, count in sorted(found)
    ]


ROUTES = (Route("GET", "/standing", standing, who="operator"),)
