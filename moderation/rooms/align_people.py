"""Desired state of people: compares the sanctions in force with the real state of a room and returns the difference.

Rules kept here:
- The prior value is recorded before it is changed (a `LevelKept` "intended"), and is given back afterwards.
- A level changed by hand is respected: the bot sets the same thing again twice, saying so, and then leaves it alone.
- The bot never asks for what the room's rules forbid it: that is returned as impossible, to be told to the owner.

Left to others: measures against the room itself (`align_room.py`, by the same rules); reading and writing the room
(`bot/effects/align_room.py`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from moderation.model.context import InForce
from moderation.model.facts import OF_ROOMS, KeptStep
from moderation.values.ids import UserId
from moderation.values.power_levels import INVITING, Power

MAX_CORRECTIONS = 2
NO_ENTRY = "-"  # "no entry in `users`: `users_default` holds"
POSTING, INVITE, JOINING = "posting", "inviting", "joining"  # what is kept of the room itself; see `LevelKept`


@dataclass(frozen=True, slots=True)
class KeptLevel:
    """The value that the bot set for one person in this room, or for the room itself, and the value before."""

    user: UserId  # "": the room itself
    what: str  # level | ban | posting | posting TYPE | inviting | joining
    step: KeptStep  # intended | held | overruled
    prior: str
    held: str
    corrections: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One change to make. `step` is the step of the kept level once it is done."""

    user: UserId
    what: str
    step: KeptStep  # `LevelKept` says what each means
    prior: str
    held: str
    write: bool  # whether the homeserver must be asked for anything


@dataclass(frozen=True, slots=True)
class Alignment:
    """All changes to make in a room, and those that are impossible."""

    changes: tuple[Change, ...] = ()
    impossible: tuple[tuple[UserId, str], ...] = ()

    @property
    def levels(self) -> dict[UserId, int | None]:
        """The entries of `users` to write; None removes one."""
        wanted: dict[UserId, int | None] = {}
        for change in self.changes:
            if change.write and change.what == "level":
                wanted[change.user] = as_level(_there_after(change))
        return wanted

    @property
    def required(self) -> dict[str, int | None]:
        """The new levels of event types, as `Power.with_levels` writes them."""
        changes = (change for change in self.changes if change.write and is_required(change.what))
        return {event_type(change.what): as_level(_there_after(change)) for change in changes}

    @property
    def joining(self) -> str:
        """The join rule to write; empty if none."""
        return next((_there_after(c) for c in self.changes if c.write and c.what == JOINING), "")

    def __add__(self, other: "Alignment") -> "Alignment":
        return Alignment((*self.changes, *other.changes), (*self.impossible, *other.impossible))


def as_text(level: int | None) -> str:
    """Return a level as it is written in a `LevelKept` fact."""
    return NO_ENTRY if level is None else str(level)


def as_level(text: str) -> int | None:
    """Return the level that `as_text` wrote."""
    return None if text == NO_ENTRY else int(text)


@dataclass(frozen=True, slots=True)
class RoomPicture:
    """The state of one room as the reconciler sees it."""

    power: Power
    membership: Mapping[UserId, str]
    bot: UserId
    holds: Mapping[tuple[UserId, str], KeptLevel] = field(default_factory=dict)
    joining: str = ""  # the join rule, if it was read: as `align_room.join_rule` returns it
    gate: bool = False  # whether people must ask before they come in


def intended(change: Change) -> Change:
    """Return what is recorded before `change` is written, so that it is not mistaken for a change by hand."""
    return replace(change, step="intended", held=_there_after(change))


def _there_after(change: Change) -> str:
    return change.prior if change.step == "released" else change.held


def event_type(what: str) -> str:
    """Return the event type in the `what` of a kept level; "" for all types without a level of their own."""
    return INVITING if what == INVITE else what.removeprefix(POSTING).strip()


def is_required(what: str) -> bool:
    """Return whether what is kept is a level that posting or inviting takes."""
    return what == INVITE or what.startswith(POSTING)


def natural(power: Power, holds: Mapping[tuple[UserId, str], KeptLevel]) -> Power:
    """Return the levels without those kept for the room itself: people are measured by these."""
    for (user, what), hold in holds.items():
        if not user and is_required(what) and hold.step != "overruled":
            power = power.with_written(event_type(what), as_level(hold.prior))
    return power


def align(room: RoomPicture, in_force: Iterable[InForce]) -> Alignment:
    """Return the difference between what should hold for people and what does."""
    wanted: dict[UserId, set[str]] = {}
    room = replace(room, power=natural(room.power, room.holds))
    for sanction in in_force:
        if sanction.kind in OF_ROOMS:
            continue
        kinds = wanted.setdefault(sanction.subject, set())
        kinds.add(sanction.kind)
        if sanction.kind == "ban" and sanction.room is not None and not sanction.reach:
            kinds.add("ban here")
    changes: list[Change] = []
    impossible: list[tuple[UserId, str]] = []
    people = sorted(wanted.keys() | {user for user, _ in room.holds if user})
    for user in people:
        kinds = wanted.get(user, set())
        for change in (_level(user, kinds, room), _ban(user, kinds, room)):
            if isinstance(change, Change):
                changes.append(change)
            elif change is not None:
                impossible.append((user, change))
    return Alignment(tuple(changes), tuple(impossible))


def _level(user: UserId, kinds: set[str], room: RoomPicture) -> Change | str | None:
    """Return the change to somebody's level, the kind that is impossible, or None."""
    hold = room.holds.get((user, "level"))
    present = as_text(room.power.users.get(user))
    if "demote" in kinds and room.power.is_creator(user):  # above every level, whatever is written
        return "demote"
    power, may_not = room.power, "mute" if "mute" in kinds else "demote"
    thing = Thing(
        user,
        "level",
        present,
        hold,
        may=lambda text: power.can_set_level(room.bot, user, as_level(text)),
        may_not=(may_not, "restore"),
        also_ours=(NO_ENTRY, str(power.mute_level())),
    )
    return settle(thing, _target(user, kinds, hold, present, room))


def _target(user: UserId, kinds: set[str], hold: KeptLevel | None, present: str, room: RoomPicture) -> str | None:
    """Return the level that sanctions call for; None if no sanction does.

    Somebody who is not in the room is muted only if their level is kept anyway; their joining asks again.
    """
    demoted = "demote" in kinds and _managed(user, hold.prior if hold else present, room)
    if "mute" in kinds and (hold or demoted or room.membership.get(user) == "join"):
        return str(room.power.mute_level())
    return NO_ENTRY if demoted else None


def _managed(user: UserId, prior: str, room: RoomPicture) -> bool:
    """Return whether somebody had management rights with the level that was written before any was kept."""
    level, power = as_level(prior), room.power
    users = {each: entry for each, entry in power.users.items() if each != user}
    if level is not None:
        users[user] = level
    highest = max((entry for each, entry in users.items() if each != power.bot), default=0)
    return replace(power, users=users, highest=highest).role(user) != "member"


@dataclass(frozen=True, slots=True)
class Thing:
    """One value of the room that the bot may set and keep."""

    user: UserId
    what: str
    present: str
    hold: KeptLevel | None
    may: Callable[[str], bool]  # whether the bot may write this value
    may_not: tuple[str, str]  # what is impossible otherwise: setting it, giving it back
    also_ours: tuple[str, ...] = ()  # values the bot may have written for other sanctions


def settle(thing: Thing, target: str | None) -> Change | str | None:
    """Return the change that brings `target` about, or gives back the prior value (None).

    Returns the name of what is impossible, or None if there is nothing to do.
    """
    hold = thing.hold
    if target is None:
        return _give_back(thing, hold) if hold else None
    if hold is None:
        return None if thing.present == target else _set(thing, "held", thing.present, target)
    return _keep(thing, hold, target)


def _keep(thing: Thing, hold: KeptLevel, target: str) -> Change | str | None:
    present = thing.present
    if hold.step == "overruled":
        return None
    if present == target:
        same = hold.step == "held" and hold.held == target
        return None if same else Change(thing.user, thing.what, "held", hold.prior, target, write=False)
    if hold.step == "intended" or present == hold.held:  # not done yet, or another sanction took over
        return _set(thing, "held", hold.prior, target)
    if hold.corrections >= MAX_CORRECTIONS:
        return Change(thing.user, thing.what, "overruled", hold.prior, present, write=False)
    return _set(thing, "corrected", hold.prior, target)


def _set(thing: Thing, step: KeptStep, prior: str, target: str) -> Change | str:
    if not thing.may(target):
        return thing.may_not[0]
    return Change(thing.user, thing.what, step, prior, target, write=True)


def _give_back(thing: Thing, hold: KeptLevel) -> Change | str:
    by_hand = hold.step == "overruled" or thing.present not in _ours(thing, hold)
    if thing.present == hold.prior or by_hand:  # given back already, or somebody else's to give back
        return Change(thing.user, thing.what, "released", hold.prior, hold.held, write=False)
    if not thing.may(hold.prior):
        return thing.may_not[1]
    return Change(thing.user, thing.what, "released", hold.prior, hold.held, write=True)


def _ours(thing: Thing, hold: KeptLevel) -> tuple[str, ...]:
    """Return what the bot may have written: if "intended", the new value or that of the sanction before it."""
    return (hold.held, *thing.also_ours) if hold.step == "intended" else (hold.held,)


def _ban(user: UserId, kinds: set[str], room: RoomPicture) -> Change | str | None:
    hold = room.holds.get((user, "ban"))
    banned = room.membership.get(user) == "ban"
    if "ban" not in kinds:
        if hold is None:
            return None
        lift = banned and hold.step != "overruled"
        if lift and not room.power.can_unban(room.bot, user):
            return "unban"
        return Change(user, "ban", "released", hold.prior, hold.held, write=lift)
    if banned:
        settled = hold is None or hold.step in ("held", "overruled")
        return None if settled else Change(user, "ban", "held", "-", "ban", write=False)
    if hold is None and user not in room.membership and "ban here" not in kinds:
        return None  # never seen in this room; if they come, their joining asks again
    if hold is not None and hold.step == "overruled":
        return None
    if hold is not None and hold.step == "held" and hold.corrections >= MAX_CORRECTIONS:
        return Change(user, "ban", "overruled", "-", "ban", write=False)
    if not room.power.can_ban(room.bot, user):
        return "ban"
    again = hold is not None and hold.step == "held"
    return Change(user, "ban", "corrected" if again else "held", "-", "ban", write=True)
