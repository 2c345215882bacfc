"""The reconciler of a room with the sanctions in force: reads it, compares, writes the difference, records it.

Rules kept here:
- The power levels are read again before they are written, merged into the present ones, and read again afterwards.
- The previous levels are in the journal before anything is written, so they can be given back whatever happens.
- People who must be told before a change are told before it.
- What the bot has no right to do is told to the managers, and not tried repeatedly.

Left to others: what should hold (`moderation/rooms/align_people.py`, `moderation/rooms/align_room.py`), working on one
room at a time (`bot/outbox/dispatcher.py` runs one such action at once).
"""

from collections.abc import Sequence
from dataclasses import replace

from bot.matrix.errors import Forbidden
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from moderation.model.actions.rooms import Align
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import Fact, LevelKept
from moderation.people.verification import asked_of
from moderation.rooms.align_people import JOINING, Alignment, Change, RoomPicture, intended
from moderation.rooms.align_room import GATES, JOIN_RULES, align, join_rule, join_rules
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line, Phrase, Who, line
from moderation.values.power_levels import Power
from storage import outbox, queries

from .public_reasons import GroundShown, PublicReasons
from .redact_everything import WholeRedactions

POWER_LEVELS = "m.room.power_levels"


class Reconciler(ActionHandler):
    """The handler of `Align`."""

    def __init__(self, services: Services, reasons: PublicReasons, whole: WholeRedactions) -> None:
        super().__init__(services)
        self._reasons = reasons
        self._whole = whole
        self.handles: Handlers = {Align: self.handle}
        self._told: set[tuple[RoomId, UserId, str]] = set()  # what managers were told is impossible, since the start

    async def handle(self, action: Align, _txn: str) -> Done:
        """Read the room, compare it with what should hold, and write the difference."""
        alignment = await self._align(action.room)
        if alignment is None:
            return Done(result="abandoned")
        facts = tuple(_held(action.room, change) for change in alignment.changes)
        return Done(facts, actions=self._impossible(action.room, alignment))

    async def give_back(self, room: RoomId) -> tuple[Fact, ...]:
        """Give back what the bot changed in a room that it leaves, except bans; return what is to be recorded.

        Nothing is given back where the bot has lost the right to.
        """
        try:
            alignment = await self._align(room, leaving=True)
        except Forbidden:
            return ()
        return tuple(_held(room, change) for change in alignment.changes) if alignment else ()

    async def _align(self, room: RoomId, *, leaving: bool = False) -> Alignment | None:
        """Make a room what it should be and return the changes; None if the bot is not active there."""
        levels = await self._homeserver.state_event(room, POWER_LEVELS)
        compared = await self._compare(room, levels, leaving=leaving)
        if compared is None:
            return None
        power, alignment = compared
        writes = [change for change in alignment.changes if change.write]
        if writes:
            await self._pipeline.commit([_held(room, intended(change)) for change in writes])
            if alignment.levels or alignment.required:  # people's levels and the room's own, in one event
                content = power.with_levels(levels, alignment.levels, alignment.required)
                await self._homeserver.set_state(room, POWER_LEVELS, content)
            if alignment.joining:
                present = await self._homeserver.state_event(room, JOIN_RULES)
                await self._homeserver.set_state(room, JOIN_RULES, join_rules(alignment.joining, present))
            await self._bans(room, writes)
        return alignment

    async def _compare(self, room: RoomId, levels: object, *, leaving: bool) -> tuple[Power, Alignment] | None:
        # What is kept and what is in force must be of one moment: of each, what needs nothing more is left out.
        async with self._database.snapshot() as db:
            if await outbox.goes_first(db, room):
                again = Done(actions=(Align(room=room),))
                raise RetryLater("somebody is told first", again, tries=20, first_ms=100, last_ms=60_000)
            view = await queries.room_view(db, room, self._homeserver.user)
            if view is None or not view.active or view.purpose != "group":
                return None
            created = await queries.created_event(db, room)
            holds = await queries.holds_in(db, room)
            gated = asked_of(view, self._policy).gated and not leaving
            power = Power.of(created, levels, bot=self._homeserver.user)
            kept = {user for user, _ in holds if user}
            # People with a level are not always known as members.
            in_force = await queries.sanctions_in(db, room, {*map(UserId, power.users), *power.creators, *kept})
            seen = RoomPicture(
                power=power,
                membership=await queries.memberships(db, room, kept | {each.subject for each in in_force}),
                bot=self._homeserver.user,
                holds=holds,
                gate=gated and (view.condition == "protected" or (UserId(""), JOINING) in holds),
            )
        if leaving:
            in_force = tuple(each for each in in_force if each.kind == "ban")
        shut = any(each.kind == "close" or each.kind in GATES for each in in_force)
        if shut or seen.gate or (UserId(""), JOINING) in seen.holds:
            seen = replace(seen, joining=join_rule(await self._homeserver.state_event(room, JOIN_RULES)))
        alignment = align(seen, in_force)
        bans = [change.user for change in alignment.changes if change.what == "ban"]
        if bans:  # the memberships in the database may be older than the last action of the bot
            now = {user: str(await self._membership(room, user) or "leave") for user in bans}
            alignment = align(replace(seen, membership={**seen.membership, **now}), in_force)
        return seen.power, alignment

    async def _bans(self, room: RoomId, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.what == "ban":
                if change.step == "released":
                    await self._homeserver.unban(room, change.user)
                else:
                    everything = await self._whole.by_ban(room, change.user)
                    reason = await self._reason(room, change.user)
                    await self._homeserver.ban(room, change.user, reason, redact_events=everything)

    async def _reason(self, room: RoomId, user: UserId) -> str | None:
        """Return what the room reads of the ban that came first."""
        async with self._database.read() as db:
            ground = await queries.ground_of_ban(db, room, user)
            language = await queries.room_language(db, room)
        return self._reasons.of_person(GroundShown(*ground), language) if ground is not None else None

    def _impossible(self, room: RoomId, alignment: Alignment) -> tuple[TellDesk, ...]:
        fresh = [(user, what) for user, what in alignment.impossible if (room, user, what) not in self._told]
        self._told.update((room, user, what) for user, what in fresh)
        overruled = [change for change in alignment.changes if change.step in ("corrected", "overruled")]
        return (*_tell_impossible(room, fresh), *_tell_by_hand(room, overruled))


def _tell_impossible(room: RoomId, what: Sequence[tuple[UserId, str]]) -> list[TellDesk]:
    return [TellDesk(room=room, lines=(_cannot(user, kind),)) for user, kind in what]


def _cannot(user: UserId, kind: str) -> Line:
    if user:
        return line("desk.impossible", who=Who(user), what=Phrase(f"sanction.{kind}"))
    if kind == "join-rule":
        return line("desk.here.join-rule")
    if kind == "join-rule-gate":
        return line("desk.here.join-rule-gate")
    return line("desk.here.impossible", what=Phrase(f"sanction.{kind}"))


def _tell_by_hand(room: RoomId, changes: Sequence[Change]) -> list[TellDesk]:
    """Return one message for each person, and one for the room itself, however many of its settings were changed."""
    said = dict.fromkeys((change.user, change.step) for change in changes)
    return [TellDesk(room=room, lines=(_by_hand(user, step),)) for user, step in said]


def _by_hand(user: UserId, step: str) -> Line:
    return line(f"desk.{step}", who=Who(user)) if user else line(f"desk.here-changed.{step}")


def _held(room: RoomId, change: Change) -> Fact:
    return LevelKept(
        room=room,
        step=change.step,
        what=change.what,
        prior=change.prior,
        held=change.held,
        subject=change.user,
    )
