"""The people on duty in a room, now and in each hour of this week."""

from typing import Any

from aiohttp import web

from bot.console.draw.svg import DrawingWords
from bot.console.draw.week import draw_week, week_begin
from bot.console.visit import Route, Visit
from moderation.duty.duty import Duty, on_duty
from moderation.duty.week import people_by_hour
from moderation.model.context import RoomView
from moderation.values.ids import RoomId
from storage import queries

MOST_ROOMS = 200  # in the list to choose from


async def duty(visit: Visit) -> web.Response:
    """Show the room that was asked for, or the first one."""
    rooms = await _rooms(visit)
    chosen = await _chosen(visit, rooms)
    shown = await _shown(visit, chosen) if chosen is not None else {"room": None, "json": []}
    listed = rooms[:MOST_ROOMS]
    codes, names = await queries.codes_of(visit.db, listed), await queries.room_names(visit.db, listed)
    return visit.page(
        "duty.html",
        section="duty",
        rooms=[(codes[room], names[room]) for room in listed],
        **shown,
    )


async def _rooms(visit: Visit) -> list[RoomId]:
    only = visit.rights.only
    return [room for room in await queries.active_groups(visit.db) if only is None or room in only]


async def _chosen(visit: Visit, rooms: list[RoomId]) -> RoomView | None:
    asked = visit.request.match_info.get("code") or visit.said("room")
    if not asked and not rooms:
        return None
    if asked:
        room = await queries.room_by_code(visit.db, asked, visit.site.bot)
    else:
        room = await queries.room_view(visit.db, rooms[0], visit.site.bot)
    return visit.seen(room if room is not None and room.room in rooms else None)


async def _shown(visit: Visit, room: RoomView) -> dict[str, Any]:
    site, now = visit.site, visit.now_ms
    found = await queries.duty_of(visit.db, room, site.policy.operators, now)
    hours = people_by_hour(found, week_begin(now, site.config.bot.timezone))
    words = DrawingWords(site.catalog, visit.language)
    people = sorted({*found.managers, *found.owners, *found.roster})
    there = on_duty(found, now)
    return {
        "room": room,
        "duty": found,
        "there": there,
        "people": people,
        "zone": site.config.bot.timezone,
        "away": {user: until for user, until in (await queries.away_now(visit.db, now)).items() if user in people},
        "names": await queries.display_names(visit.db, people, (room.room,)),
        "week": draw_week(hours, site.catalog.text(visit.language, "console.duty.week"), words),
        "json": _json(room, found, there, hours),
    }


def _json(room: RoomView, duty: Duty, there: tuple[str, ...], hours: tuple[int, ...]) -> dict[str, Any]:
    return {
        "room": room.code,
        "on_duty": list(there),
        "managers": list(duty.managers),
        "owners": list(duty.owners),
        "away": sorted(duty.away & {*duty.managers, *duty.owners}),
        "hours": dict(duty.roster),
        "week": list(hours),
    }


ROUTES = (
    Route("GET", "/duty", duty, menu="duty"),
    Route("GET", "/duty/{code}", duty),
)
