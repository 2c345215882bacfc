"""The answers to people on one's own homeserver who want to come into a room, or to invite somebody there.

Rules kept here:
- It is answered by what is in force, read at once. Nothing is recorded: a person who is kept out was told when it
  began.
- Somebody who is in the room already changes their name, which is no coming.
- An invitation that the bot has not heard of yet opens the door: while a room is shut, only those who run it can give
  one.
- The inviter is not told what concerns the other person alone.

Left to others: who is kept out (`moderation/judge/entering.py`).
"""

from collections.abc import Sequence

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.judge.entering import KeptOut, kept_out
from moderation.model.context import Context, RoomView
from moderation.values.ids import UserId
from moderation.values.notices import Line, Moment, Who, line
from storage import queries
from storage.database.database import Database

from .protocol import DoorQuestion


class Doorkeeper:
    """The answers to `DoorQuestion`."""

    def __init__(self, pipeline: Pipeline, database: Database, clock: Clock) -> None:
        self._pipeline = pipeline
        self._database = database
        self._clock = clock

    async def ask(self, asked: DoorQuestion) -> tuple[RoomView, Sequence[Line]] | None:
        """Return the room that somebody is kept out of, and why in words; None if they can come in."""
        settings = self._pipeline.settings
        if not self._pipeline.served.records(asked.room) or asked.user == settings.bot:
            return None
        now = self._clock()
        async with self._database.snapshot() as db:
            room = await queries.room_view(db, asked.room, settings.bot)
            there = (await queries.memberships_of(db, asked.user)).get(asked.room)
            if room is None or there == "join" or (asked.invited and there != "invite"):
                return None
            by = asked.by
            if there == "invite" and by is None:
                by = await queries.inviter_of(db, asked.room, asked.user)
            since = now - 2 * settings.policy.credit.incident_window
            person = await queries.person_view(db, asked.user, now_ms=now, recent_since=since)
            measures = await queries.measures_of_room(db, asked.room)
        context = Context(now_ms=now, room=room, subject=person, bot=settings.bot, next_case=0)
        out = kept_out(context, measures, by, settings.policy)
        return (room, (_words(out, asked.by, asked.user),)) if out is not None else None


def _words(out: KeptOut, by: UserId | None, user: UserId) -> Line:
    until = Moment(out.until)
    match out.why, by:
        case "shut", None:
            return line("antispam.join.shut", until=until) if out.until else line("antispam.join.shut-open")
        case "banned", None:
            return line("antispam.join.banned", until=until) if out.until else line("antispam.join.banned-open")
        case "unverified", None:
            return line("antispam.join.unverified")
        case "shut", _:
            return line("antispam.invite.shut", until=until) if out.until else line("antispam.invite.shut-open")
    return line("antispam.invite.person", who=Who(user))
