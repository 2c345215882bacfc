"""The rooms: a list with a box to jump from, and one room: how it is, who runs it, what happens, and by which rules.

Rules kept here:
- Managers see the rooms that they answer for, and nothing of others. Operators see every group, also those that the bot
  has left.
- A room is known by its code, which it keeps when it is upgraded; its id leads there.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from markupsafe import Markup

from bot.console.draw.days import DayCounts, draw_days
from bot.console.draw.svg import DrawingWords
from bot.console.draw.week import draw_week, week_begin
from bot.console.render import path_of
from bot.console.visit import NoPage, Route, Visit
from bot.texts import measure_lines
from bot.texts.list_lines import chosen_line, own_list_line, own_lists
from bot.texts.names import rules_in_words
from bot.texts.power_lines import power_lines
from bot.texts.setting_lines import setting_lines
from moderation.duty.duty import Duty, on_duty
from moderation.duty.week import people_by_hour
from moderation.judge.room_rules import with_own
from moderation.model.context import InForce, RoomView
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line, Phrase, RoomName, line
from storage import queries
from storage.queries import RoomRule
from storage.queries.transparency import RuleFigures

PAGE = 50  # rooms of a list
DAYS = 90  # of the charts
RULES_MS = 180 * DAY_MS  # of the figures of rules
MOST_PEOPLE = 50
LONGEST_WORDS = 255


@dataclass(frozen=True, slots=True)
class ShownRoom:
    """All that is shown of one room."""

    room: RoomView
    roles: dict[str, int]
    duty: Duty
    there: tuple[UserId, ...]
    measures: tuple[InForce, ...]
    own_rules: tuple[RoomRule, ...]
    figures: tuple[RuleFigures, ...]
    counts: dict[str, list[int]]  # by kind of record, a number a day

    @property
    def left(self) -> bool:
        """True if the bot is no longer there."""
        return self.room.condition == "left"

    @property
    def running(self) -> list[tuple[UserId, str]]:
        """The people who run it, with their roles."""
        duty = self.duty
        runs = [(user, "owner") for user in (*duty.owners, *duty.suspended_owners)]
        return [*runs, *((user, "manager") for user in duty.managers)][:MOST_PEOPLE]


async def rooms(visit: Visit) -> web.Response:
    """List rooms, or jump to the one whose code was typed."""
    words = visit.said("q")[:LONGEST_WORDS]
    found = await queries.rooms_found(visit.db, visit.rights.only, words, PAGE + 1, visit.said("after"))
    if words and len(found) == 1 and found[0].code.casefold() == words.casefold():
        return visit.see_other(path_of("rooms", found[0].code))
    shown = found[:PAGE]
    return visit.page(
        "rooms.html",
        section="rooms",
        rooms=shown,
        words=words,
        after=shown[-1].code if len(found) > PAGE else "",
        json=await _listed(visit, [each.room for each in shown]) if visit.wants_json else None,
    )


async def _listed(visit: Visit, among: Sequence[RoomId]) -> list[dict[str, Any]]:
    return [each.as_json() for each in await queries.rooms_listed(visit.db, among)]


async def room(visit: Visit) -> web.Response:
    """Show one room."""
    asked = visit.request.match_info["code"]
    by_id = asked.startswith("!")
    found = await (queries.room_view if by_id else queries.room_by_code)(visit.db, RoomId(asked), visit.site.bot)
    if found is None or found.purpose != "group" or not visit.rights.may_see(found.room):
        raise NoPage
    if by_id:
        return visit.see_other(path_of("rooms", found.code))
    shown = await _shown(visit, found)
    health = await _health(visit, shown)
    settings, lists = _settings(visit, found), await _lists(visit, found)
    measures = tuple(measure_lines.in_force(shown.measures))
    users = [user for user, _ in shown.running]
    names = {
        **await visit.names((*health, *settings, *measures, *lists), found.room),
        **await rules_in_words(visit.db, [each.rule for each in shown.figures], visit.language, [found.room]),
        **await queries.room_names(visit.db, [found.room]),
        **await queries.display_names(visit.db, users, [found.room]),
    }
    words = DrawingWords(visit.site.catalog, visit.language)
    return visit.page(
        "room.html",
        section="rooms",
        shown=shown,
        names=names,
        health=health,
        measures=measures,
        settings=settings,
        lists=lists,
        days_plot=_days(visit, shown, words),
        week_plot=_week(visit, shown, words),
        zone=visit.site.config.bot.timezone,
        json=await _json(visit, shown) if visit.wants_json else None,
    )


async def _shown(visit: Visit, room: RoomView) -> ShownRoom:
    db, now = visit.db, visit.now_ms
    duty = await queries.duty_of(db, room, visit.site.policy.operators, now)
    figures = await queries.rule_figures(db, now - RULES_MS, now + 1, [room.room])
    own_rules = await queries.rules_of_room(db, room.room)
    return ShownRoom(
        room=room,
        roles=await queries.role_counts(db, room.room),
        duty=duty,
        there=on_duty(duty, now),
        measures=await queries.measures_of_room(db, room.room),
        own_rules=own_rules,
        figures=(*figures, *_without_hits(visit, room, {each.rule for each in figures})),
        counts=await _counts(visit, room),
    )


def _without_hits(visit: Visit, room: RoomView, counted: Collection[str]) -> list[RuleFigures]:
    """Return the rules that hold in a room and have found nothing; those on trial do not hold."""
    rules = with_own(visit.site.policy, room.rules).rules
    holding = [each.name for each in rules if room.is_among(each.rooms) and not each.dry_run]
    return [RuleFigures(rule=name) for name in holding if name not in counted]


async def _counts(visit: Visit, room: RoomView) -> dict[str, list[int]]:
    first = visit.now_ms // DAY_MS - DAYS + 1
    found = await queries.daily_counts(visit.db, first, first + DAYS, [room.room])
    return {kind: [found.get((first + day, kind), 0) for day in range(DAYS)] for kind in ("message", "finding")}


async def _health(visit: Visit, shown: ShownRoom) -> tuple[Line, ...]:
    """Say as `!status` does how a room is, and what the bot lacks there."""
    room = shown.room
    numbers = await queries.room_numbers(visit.db, room.room)
    return (
        line("status.room", room=RoomName(room.room), condition=Phrase(f"condition.{room.condition}")),
        line("status.numbers", records=numbers.records, members=numbers.members, open=numbers.open_cases),
        *(() if shown.left else power_lines(room.power, visit.site.bot)),
    )


def _settings(visit: Visit, room: RoomView) -> tuple[Line, ...]:
    bot = visit.site.config.bot
    return setting_lines(room, visit.site.policy, language=bot.language, digest=bot.digest)


async def _lists(visit: Visit, room: RoomView) -> tuple[Line, ...]:
    """Say as `!list` does which policy lists count in a room, and which of our own its cases can lead to."""
    policy, chosen = visit.site.policy, await queries.chosen_lists(visit.db)
    figures, counted = await queries.list_figures(visit.db, room), await queries.published_counts(visit.db, room)
    others = [
        said
        for each in chosen
        if (watch := each.watch(policy.lists)).holds_in(room)
        for said in chosen_line(watch, figures.get(each.list, queries.ListFigures()), each)
    ]
    return (*others, *(own_list_line(each, counted.get(each.name, 0)) for each in own_lists(policy, room)))


def _days(visit: Visit, shown: ShownRoom, words: DrawingWords) -> Markup:
    first = visit.now_ms // DAY_MS - DAYS + 1
    series = [
        DayCounts(words.text("console.room.messages"), shown.counts["message"]),
        DayCounts(words.text("console.room.findings"), shown.counts["finding"], grave=True),
    ]
    return draw_days(first * DAY_MS, series, words.text("console.room.days"), words)


def _week(visit: Visit, shown: ShownRoom, words: DrawingWords) -> Markup | None:
    if shown.left:
        return None
    hours = people_by_hour(shown.duty, week_begin(visit.now_ms, visit.site.config.bot.timezone))
    return draw_week(hours, words.text("console.room.week"), words)


async def _json(visit: Visit, shown: ShownRoom) -> dict[str, Any]:
    """Return what `answerable rooms --json` says of the room, and what else is shown."""
    [listed] = await queries.rooms_listed(visit.db, [shown.room.room])
    figures = [{**asdict(each), "cases": each.cases, "precision": each.precision} for each in shown.figures]
    more = {"roles": shown.roles, "on_duty": list(shown.there), "figures": figures, "days": shown.counts}
    return {**listed.as_json(), **more}


ROUTES = (
    Route("GET", "/rooms", rooms, menu="rooms"),
    Route("GET", "/rooms/{code}", room),
)
