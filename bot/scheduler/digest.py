"""The daily digest: each desk is told what waits, in one message instead of many reminders.

Rules kept here:
- Rooms that share a desk have one digest.
- The digest comes at the hour of the configuration, in its time zone.
- A desk where nothing waits gets none, nor one whose owner wants none.
- What rules on trial would have found is told in a message of its own, to the same desks.
- Once a week owners are told in private how each of their managers decided. Desks and operators get the sums, which
  name nobody.
- What was missed because the bot was down is made up for once.

Left to others: saying it (`bot/effects/send_notice.py`), cards (`bot/effects/desk.py`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.encryption.key_alerts import to_operators
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.texts.case_card import waiting_line
from moderation.duty.duty import on_duty
from moderation.model.actions.base import Action
from moderation.model.actions.telling import Tell, TellDesk
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId
from moderation.values.notices import Line, RoomName, Span, Who, line
from storage import queries
from storage.database.database import Database
from storage.projections import set_meta

from .trials import told_of_trials

DIGEST = "digest"  # the newest day, in the configured time zone, whose digest was queued
MOST = 10
MOST_GROUPS = 30  # in one message to the operators
FIGURES_MS = 30 * DAY_MS  # the time that the figures cover
_FIGURES_HEAD = line("digest.figures-of-all", span=Span(FIGURES_MS))


class Digester:
    """The digests of all desks and owners."""

    def __init__(
        self, database: Database, pipeline: Pipeline, policy: Policy, clock: Clock, *, at: str, zone: str
    ) -> None:
        """Set up.

        `at`: the time of day, ``HH:MM``; empty: never. `zone`: an IANA name.
        """
        self._database = database
        self._pipeline = pipeline
        self._policy = policy
        self._clock = clock
        self._at = at
        self._zone = ZoneInfo(zone)
        self._done = ""  # the newest day whose digest we know to be queued

    async def look(self) -> None:
        """Queue today's digests if it is time and it was not done yet."""
        day = self._day()
        if not self._at or self._done >= day:
            return
        async with self._database.read() as db:
            done = await queries.get_meta(db, DIGEST)
            if done is not None and done >= day:
                self._done = done
                return
            tells = [] if done is None else [*await self._tells(db), *await self._trials(db, done, day)]
            if done is not None and _week(done) != _week(day):
                tells += await self._figures(db)
        await self._pipeline.commit(actions=tells, also=partial(set_meta, key=DIGEST, value=day))

    def _day(self) -> str:
        """Return the newest day whose hour has come."""
        now = datetime.fromtimestamp(self._clock() / 1000, self._zone)
        return str((now if f"{now:%H:%M}" >= self._at else now - timedelta(days=1)).date())

    async def _trials(self, db: AsyncConnection, done: str, day: str) -> list[TellDesk]:
        """Tell desks what rules on trial would have found between the hours of two days."""
        bot = self._pipeline.settings.bot
        views = [await queries.room_view(db, group, bot) for group in await queries.active_groups(db)]
        rooms = [view for view in views if view is not None and view.choices.digest]
        return await told_of_trials(db, rooms, bot, self._hour_of(done), self._hour_of(day))

    def _hour_of(self, day: str) -> int:
        """Return when the digest of a day is due."""
        due = datetime.combine(date.fromisoformat(day), time.fromisoformat(self._at), self._zone)
        return int(due.timestamp() * 1000)

    async def _figures(self, db: AsyncConnection) -> list[Action]:
        """Tell owners how each person decided in their group, and desks and operators the sums; done once a week."""
        since, tells, sums = self._clock() - FIGURES_MS, list[Action](), list[Line]()
        groups = await queries.active_groups(db)
        for group in groups:
            room = await queries.room_view(db, group, self._pipeline.settings.bot)
            figures = await queries.figures_of(db, group, since)
            if room is None or not figures:
                continue
            sums.append(await self._sum(db, group, figures))
            if not room.choices.digest:
                continue
            there = await queries.memberships(db, group)
            lines = (line("digest.figures-head", room=RoomName(group), span=Span(FIGURES_MS)), *map(_figure, figures))
            owners = sorted(user for user in room.power.owners() if there.get(user) == "join")
            tells += [Tell(room=group, subject=owner, lines=lines, alone=True) for owner in owners]
            tells.append(TellDesk(room=group, lines=_in_one(sums[-1:]), once="figures"))
        return [*tells, *to_operators(self._policy, groups, _in_one(sums))] if sums else []

    async def _sum(self, db: AsyncConnection, group: RoomId, figures: Sequence[queries.Figures]) -> Line:
        waiting, overdue = await queries.cases_open_and_overdue(db, self._clock(), group)
        return line(
            "digest.figures-sum",
            room=RoomName(group),
            decided=sum(each.decided for each in figures),
            dismissed=sum(each.dismissed for each in figures),
            reversed=sum(each.reversed for each in figures),
            waiting=waiting,
            overdue=overdue,
        )

    async def _tells(self, db: AsyncConnection) -> list[Action]:
        tells: list[Action] = []
        desks = defaultdict[RoomId, list[RoomId]](list)
        for group, first in (await queries.first_in_desk(db)).items():
            desks[first].append(group)
        for rooms in desks.values():
            if said := await self._said(db, rooms):
                tells.append(said)
        return tells

    async def _said(self, db: AsyncConnection, desk: list[RoomId]) -> TellDesk | None:
        """Return what is said in the desk of these rooms; None if nothing waits in them."""
        views = [await queries.room_view(db, group, self._pipeline.settings.bot) for group in desk]
        wanted = {view.room: view for view in views if view is not None and view.choices.digest}
        cases = await queries.waiting_cases(db, sorted(wanted), MOST + 1)
        if not cases:
            return None
        several = len(desk) > 1
        rooms = [wanted[room] for room in wanted if any(case.room == room for case in cases)]
        lines = (
            line("digest.head", count=min(len(cases), MOST)),
            *(waiting_line(case, several=several) for case in cases[:MOST]),
            *((line("cases.more", limit=MOST),) if len(cases) > MOST else ()),
            *[await self._on_duty(db, room, several=several) for room in rooms],
        )
        told = TellDesk(room=rooms[0].room, lines=lines, once="digest", also=tuple(room.room for room in rooms[1:]))
        if not told.also:
            return told
        return replace(told, apart=tuple([each for room in rooms if (each := await self._said(db, [room.room]))]))

    async def _on_duty(self, db: AsyncConnection, room: RoomView, *, several: bool) -> Line:
        duty = await queries.duty_of(db, room, self._policy.operators, self._clock())
        there = ", ".join(on_duty(duty, self._clock()))
        if several:
            named = RoomName(room.room)
            return line("digest.on-duty-in", room=named, names=there) if there else line("digest.nobody-in", room=named)
        return line("digest.on-duty", names=there) if there else line("digest.nobody-on-duty")


def _week(day: str) -> tuple[int, int]:
    year, week, _ = date.fromisoformat(day).isocalendar()
    return year, week


def _in_one(sums: Sequence[Line]) -> tuple[Line, ...]:
    more = (line("cases.more", limit=MOST_GROUPS),) if len(sums) > MOST_GROUPS else ()
    return (_FIGURES_HEAD, *sums[:MOST_GROUPS], *more)


def _figure(found: queries.Figures) -> Line:
    return line(
        "digest.figures",
        who=Who(found.by),
        decided=found.decided,
        dismissed=found.dismissed,
        reversed=found.reversed,
    )
