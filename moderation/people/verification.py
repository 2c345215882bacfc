"""Verification that a room asks for, who falls short of it, and the consequences.

For people: docs/verification.md, "Levels and rooms".

Rules kept here:
- Nothing happens before the time for it (`grace`) is over. It begins when somebody came, when the room began to ask, or
  when their verification ended, whichever is last.
- Nobody is removed or demoted without having been told with time left.
- Everything is told to the person alone, with the next step, and not again and again.
- Nothing is asked of owners, operators and the bot, and of managers only the level of managers.
- A person who other people decided should stay is left alone.
- No case costs anything, and what was done is undone once the level is reached.

Pure. Left to others: reading (`storage/queries/verification.py`), when to look (`bot/scheduler/due_verification.py`),
the join rule (`moderation/rooms/align_room.py`), the levels and methods themselves (`moderation/values/levels.py`,
`bot/identity`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

from moderation.duty.responsibility import can_be_removed
from moderation.model.builtin_rules import UNVERIFIED, UNVERIFIED_MANAGER
from moderation.model.context import Choices, Context, InForce, PersonView, RoomView, VerificationInForce
from moderation.model.facts import (
    CaseOpened,
    Fact,
    VerificationAsked,
    VerificationNotice,
    WhyEnded,
)
from moderation.model.new_facts import decided_case, removal_here, sanction_here
from moderation.model.reach import Place
from moderation.policy import Below, Policy, VerificationSettings
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.events import MembershipChanged, MessagePosted, OtherEvent, ReactionGiven, Received, StateChanged
from moderation.values.ids import GroupCode, RoomId, UserId, is_named
from moderation.values.levels import Method

Said = MessagePosted | ReactionGiven | MembershipChanged | StateChanged | OtherEvent  # can carry words into a room

REMIND_EVERY = 7 * DAY_MS
HELD_EVERY = HOUR_MS
WARNED_BEFORE = 7 * DAY_MS  # how long before its end a verification is announced to end
_STRICTNESS: tuple[Below, ...] = ("off", "remind", "restrict", "gate", "remove")


# What a room asks for.


@dataclass(frozen=True, slots=True)
class Asks:
    """Requirements of one room."""

    write: int = 0
    manage: int = 0
    found: int = 0
    below: Below = "off"
    grace: int = 0
    methods: frozenset[Method] = frozenset()

    @property
    def gated(self) -> bool:
        """True if only verified people come in."""
        return self.below == "gate" and self.write > 0

    @property
    def of_members(self) -> bool:
        """True if there are consequences for people below the level for writing."""
        return self.below != "off" and self.write > 0

    @property
    def of_managers(self) -> bool:
        """True if there are consequences for managers."""
        return self.below != "off" and self.manage > 0

    def more_than(self, before: "Asks") -> bool:
        """Return whether more is asked of people than before, so that their time begins again."""
        if self.of_members and (
            not before.of_members or self.write > before.write or _strictness(self) > _strictness(before)
        ):
            return True
        return self.of_managers and (not before.of_managers or self.manage > before.manage)


def _strictness(asks: Asks) -> int:
    return _STRICTNESS.index(asks.below)


_ASKS = tuple(field.name for field in fields(Asks))


def room_demands(settings: VerificationSettings, *names: str, community: str = "") -> Asks:
    """Return what the room with these names (its id, its code) in this community asks for."""
    own = next((each for each in settings.rooms if is_named(each.rooms, *names, community=community)), None)
    if own is not None:
        given = {name: value for name in _ASKS if (value := getattr(own, name)) is not None}
        settings = settings.model_copy(update=given)
    return Asks(
        write=settings.write,
        manage=settings.manage,
        found=settings.found,
        below=settings.below,
        grace=settings.grace,
        methods=frozenset(settings.methods),
    )


class MayAsk(Protocol):
    """A room that may ask for verification."""

    @property
    def room(self) -> RoomId: ...

    @property
    def code(self) -> GroupCode: ...

    @property
    def community(self) -> str: ...

    @property
    def choices(self) -> Choices: ...


def asked_of(room: MayAsk, policy: Policy) -> Asks:
    """Return what a room that is served asks for."""
    asked = room_demands(policy.verification, room.room, room.code, community=room.community)
    return with_choice(asked, room.choices)


def with_choice(asked: Asks, chosen: Choices) -> Asks:
    """Combine the operator's requirements with the owner's choice: the stricter of both, never less."""
    if not chosen.write:
        return asked
    stricter = asked.of_members and _strictness(asked) > _STRICTNESS.index(chosen.below)
    return replace(
        asked,
        write=max(asked.write, chosen.write) if asked.of_members else chosen.write,
        manage=asked.manage if asked.of_managers else 0,
        below=asked.below if stricter else chosen.below,
    )


def any_room_asks(settings: VerificationSettings) -> bool:
    """Return whether any room asks for anything; a quick check, since usually none does."""
    every = (settings, *settings.rooms)
    return any(getattr(each, name) for each in every for name in ("write", "manage"))


# Who falls short of it.


def level_reached(
    proofs: Iterable[VerificationInForce], methods: frozenset[Method], place: Place | None, now_ms: int
) -> int:
    """Return the highest level in force by these methods that counts in a room; if `place` is None, in all rooms."""
    return max((p.level for p in proofs if p.method in methods and now_ms < p.until and p.counts(place)), default=0)


def level_lapsed_at(
    proofs: Iterable[VerificationInForce], needed: int, methods: frozenset[Method], place: Place, now_ms: int
) -> int:
    """Return when the needed level was last lost there; 0 if it was never reached."""
    counting = (p for p in proofs if p.method in methods and p.counts(place))
    ended = (p.until for p in counting if p.level >= needed and p.until <= now_ms)
    return max(ended, default=0)


def founder_declined(founder: PersonView, room: str, policy: Policy, now_ms: int) -> bool:
    """Return whether the bot declines a room because its founder is not verified enough."""
    wanted = room_demands(policy.verification, room)
    if founder.user in policy.operators:
        return False
    return level_reached(founder.proofs, wanted.methods, None, now_ms) < wanted.found


def exempt(user: UserId, room: RoomView, bot: UserId, policy: Policy) -> bool:
    """Return whether nothing is asked of somebody in a room."""
    return user == bot or user in policy.operators or room.power.role(user) == "owner"


@dataclass(frozen=True, slots=True)
class Guest:
    """A person below the level that a room asks for, with the notices they were given."""

    user: UserId
    since: int  # when they were first seen there
    lapsed: int = 0  # when they last lost the level
    told: Mapping[str, int] = field(default_factory=dict)  # notice -> when it was given


def grace_begins(guest: Guest, room: RoomView) -> int:
    """Return when somebody's time to be verified begins."""
    return max(guest.since, room.asked, guest.lapsed)


def grace_ends(guest: Guest, asks: Asks, room: RoomView) -> int:
    """Return when somebody's time to be verified is over.

    A person let into a gated room by somebody without being verified has no time.
    """
    if asks.gated and guest.since > room.asked and not guest.lapsed:
        return guest.since
    return grace_begins(guest, room) + asks.grace


# Writing.


def facts_of_writing(event: Received, context: Context, policy: Policy, on: int, *, gone: bool) -> tuple[Fact, ...]:
    """Return what follows when `context.subject` writes in `context.room`; `gone`: the message is redacted anyway."""
    wanted = asked_of(context.room, policy)
    if not wanted.of_members or not isinstance(event, Said) or not _says_something(event, context):
        return ()
    guest = _writes_below(wanted, context, policy)
    if guest is None:
        return ()
    over = grace_ends(guest, wanted, context.room)
    if wanted.below in ("restrict", "gate") and over <= context.now_ms and context.room.condition == "protected":
        pointer = _point("held", HELD_EVERY, guest, context, on)
        if gone:
            return pointer
        return (removal_here(context, "rule", n=0, rule=UNVERIFIED, on=on, event=event.event), *pointer)
    if not isinstance(event, MessagePosted):
        return ()
    until = 0 if wanted.below == "remind" else max(over, _removal(guest, wanted, context.room))
    return _point("reminded", REMIND_EVERY, guest, context, on, until)


def _says_something(event: Said, context: Context) -> bool:
    """Return whether others read something in it: a message, a reaction, a room's name or topic, a changed name.

    The name with which somebody first came in says who they are, and stays.
    """
    if isinstance(event, MembershipChanged):
        return (
            event.membership == "join"
            and bool(event.texts)
            and 0 < context.subject.since.get(event.room, 0) < event.received_ms
        )
    return isinstance(event, MessagePosted | ReactionGiven) or bool(event.texts)


def _writes_below(wanted: Asks, context: Context, policy: Policy) -> Guest | None:
    """Return the writer if they are below the level for writing, else None."""
    subject, room, now = context.subject, context.room, context.now_ms
    if exempt(subject.user, room, context.bot, policy) or room.room in subject.manages:
        return None
    if level_reached(subject.proofs, wanted.methods, room, now) >= wanted.write:
        return None
    return Guest(
        user=subject.user,
        since=subject.since.get(room.room, 0),
        lapsed=level_lapsed_at(subject.proofs, wanted.write, wanted.methods, room, now),
        told={what: at for (where, what), at in subject.told.items() if where == room.room},
    )


def _point(
    what: VerificationNotice, every: int, guest: Guest, context: Context, on: int, until: int = 0
) -> tuple[Fact, ...]:
    """Return the notice, unless it was given a short while ago."""
    if context.now_ms - guest.told.get(what, -every) < every:
        return ()
    return (_asked(what, context.room.room, guest.user, until, on=on),)


def _asked(
    what: VerificationNotice, room: RoomId | None, user: UserId, until: int, *, on: int = -1
) -> VerificationAsked:
    return VerificationAsked(room=room, on=on, what=what, until=until, subject=user)


# Staying: people are told half way, and removed after their time, whether or not they ever write.


def facts_of_staying(guest: Guest, wanted: Asks, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return what is due for somebody in a room that removes unverified people; nothing before `next_step`."""
    room, now = context.room, context.now_ms
    if now < next_step(guest, wanted, room) or not can_be_removed(context, policy):
        return ()
    if not _warned(guest, room):
        until = max(grace_ends(guest, wanted, room), now + wanted.grace // 2)
        return (_asked("halfway", room.room, guest.user, until),)
    return _removed(context, policy)


def next_step(guest: Guest, wanted: Asks, room: RoomView) -> int:
    """Return when something is due for them next."""
    if _warned(guest, room):
        return _removal(guest, wanted, room)
    return grace_begins(guest, room) + wanted.grace // 2


def _warned(guest: Guest, room: RoomView) -> bool:
    return guest.told.get("halfway", -1) >= grace_begins(guest, room)


def _removal(guest: Guest, wanted: Asks, room: RoomView) -> int:
    """Return when they are removed: not before their time, nor sooner than half of it after they were told."""
    told = guest.told.get("halfway", 0) if _warned(guest, room) else 0
    return max(grace_ends(guest, wanted, room), told + wanted.grace // 2 if told else 0)


def _removed(context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Remove somebody with a case of its own; those who come back within one incident get no further case."""
    known = context.subject.recent_cases.get((context.room.room, UNVERIFIED))
    if known is not None and context.now_ms - known.opened <= policy.credit.incident_window:
        return (sanction_here(context, "kick", "verification", n=known.n, rule=UNVERIFIED),)
    opened = _case(UNVERIFIED, context)
    return (opened, sanction_here(context, "kick", "verification", n=opened.n, rule=opened.rule))


def _case(rule: str, context: Context) -> CaseOpened:
    room, n, user = context.room.room, context.next_case, context.subject.user
    return decided_case(rule, room, n, user, due=context.now_ms)


# Managing: managers are told; after their time their rights are suspended until they are verified.


def manages(guest: Guest, wanted: Asks, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return what is due for a manager below the level for managing."""
    room, now = context.room, context.now_ms
    if exempt(guest.user, room, context.bot, policy) or room.condition != "protected":
        return ()
    told = guest.told.get("managing", -1)
    if told < max(room.asked, guest.lapsed):
        return (_asked("managing", room.room, guest.user, now + wanted.grace),)
    if now < told + wanted.grace or any(_is_ours(each, room) for each in context.subject.in_force):
        return ()
    opened = _case(UNVERIFIED_MANAGER, context)
    return (opened, sanction_here(context, "demote", "verification", n=opened.n, rule=opened.rule))


def manages_next(guest: Guest, wanted: Asks, room: RoomView) -> int:
    """Return when something is due for a manager next."""
    told = guest.told.get("managing", -1)
    return 0 if told < max(room.asked, guest.lapsed) else told + wanted.grace


def _is_ours(sanction: InForce, room: RoomView) -> bool:
    return sanction.kind == "demote" and sanction.basis == "verification" and sanction.covers(room)


def why_demotion_ends(subject: PersonView, room: RoomView | None, policy: Policy, now_ms: int) -> WhyEnded | None:
    """Return why a demotion of ours ends now: "settings" or "verified"; None if it does not end."""
    wanted = asked_of(room, policy) if room else Asks()
    if not wanted.of_managers:
        return "settings"
    return "verified" if level_reached(subject.proofs, wanted.methods, room, now_ms) >= wanted.manage else None


# The end of a verification.


def warned_from(at_ms: int, until_ms: int) -> int:
    """Return from when on the end of a verification is announced: a week before, or half way through a short one."""
    return until_ms - min(WARNED_BEFORE, (until_ms - at_ms) // 2)


def expires(user: UserId, until_ms: int, now_ms: int) -> tuple[Fact, ...]:
    """Tell somebody that their verification ends, or has ended."""
    return (_asked("expires" if now_ms < until_ms else "lapsed", None, user, until_ms),)
