"""The standing of the people who run rooms: the ledger that keeps account of their duties."""

from dataclasses import asdict

from aiohttp import web

from bot.console.visit import Route, Visit
from storage import queries


async def standing(visit: Visit) -> web.Response:
    """Show everybody with an entry, the lowest first, and note the look."""
    await visit.site.readings.glance(visit.visitor, "credit", visit.now_ms)
    found = await queries.listed_balances(visit.db, "standing", visit.site.policy, visit.now_ms)
    rows = [asdict(each) for each in found if each.person]
    return visit.page("standing.html", section="duty", rows=rows, json=rows)


ROUTES = (Route("GET", "/standing", standing, who="operator"),)
