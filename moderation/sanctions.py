"""Desired state: compares the sanctions in force with what a room really looks like, and names the difference.

Rules this module keeps:
- what stood there before is known before it is changed (a `Held` "intended"), and is given back afterwards;
- a level changed by hand is respected: the same thing is set again twice, saying so, and then left alone;
- the bot never asks for what the room's rules forbid it: that is returned as impossible, to be said to the owner.
A pure function; reading and writing the room is `bot/reconcile.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .context import InForce
from .ids import UserId
from .power import Power

MAX_CORRECTIONS = 2
NO_ENTRY = "-"  # "no entry in `users`: `users_default` holds"


@dataclass(frozen=True, slots=True)
class Hold:
    """What the bot set for one person in this room, and what was there before."""

    user: UserId
    what: str  # level | ban
    step: str  # intended | held | overruled
    prior: str
    held: str
    corrections: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to bring about. `step` is the step that the hold takes once it is done."""

    user: UserId
    what: str  # level | ban
    step: str  # intended | held | corrected | released | overruled; `facts.Held` says what each means
    prior: str
    held: str
    write: bool  # whether anything must be asked of the homeserver


@dataclass(frozen=True, slots=True)
class Alignment:
    """All that is to be done in a room, and what cannot be done."""

    changes: tuple[Change, ...] = ()
    impossible: tuple[tuple[UserId, str], ...] = ()

    @property
    def levels(self) -> dict[UserId, int | None]:
        """The entries of `users` to write; None removes one."""
        wanted: dict[UserId, int | None] = {}
        for change in self.changes:
            if change.write and change.what == "level":
                wanted[change.user] = as_level(change.prior if change.step == "released" else change.held)
        return wanted


def as_text(level: int | None) -> str:
    """A level as it is written in a `Held` fact."""
    return NO_ENTRY if level is None else str(level)


def as_level(text: str) -> int | None:
    """The level that `as_text` wrote."""
    return None if text == NO_ENTRY else int(text)


@dataclass(frozen=True, slots=True)
class Room:
    """What the reconciler sees of one room."""

    power: Power
    membership: Mapping[UserId, str]
    bot: UserId
    holds: Mapping[tuple[UserId, str], Hold] = field(default_factory=dict)


def intended(change: Change) -> Change:
    """What is recorded before `change` is written, so that what happens in between is not taken for changed by hand."""
    there = change.prior if change.step == "released" else change.held
    return replace(change, step="intended", held=there)


def align(room: Room, in_force: Iterable[InForce]) -> Alignment:
    """The difference between what should hold and what does."""
    wanted: dict[UserId, set[str]] = {}
    for sanction in in_force:
        kinds = wanted.setdefault(sanction.subject, set())
        kinds.add(sanction.kind)
        if sanction.kind == "ban" and sanction.room is not None:
            kinds.add("ban here")
    changes: list[Change] = []
    impossible: list[tuple[UserId, str]] = []
    people = sorted(wanted.keys() | {user for user, _ in room.holds})
    for user in people:
        kinds = wanted.get(user, set())
        for change in (_level(user, kinds, room), _ban(user, kinds, room)):
            if isinstance(change, Change):
                changes.append(change)
            elif change is not None:
                impossible.append((user, change))
    return Alignment(tuple(changes), tuple(impossible))


def _level(user: UserId, kinds: set[str], room: Room) -> Change | str | None:
    """The change to somebody's level, the kind that is impossible, or nothing."""
    hold = room.holds.get((user, "level"))
    present = as_text(room.power.users.get(user))
    if "demote" in kinds and room.power.is_creator(user):  # above every level, whatever is written
        return "demote"
    target = _target(user, kinds, hold, present, room)
    if target is None:
        return _give_back(user, hold, present, room) if hold else None
    if hold is None:
        if present == target:
            return None
        return _set(user, "held", present, target, room, kinds)
    return _keep(user, hold, target, present, room, kinds)


def _target(user: UserId, kinds: set[str], hold: Hold | None, present: str, room: Room) -> str | None:
    """The level that should stand there on account of sanctions; None where none asks for one."""
    if "mute" in kinds and (hold or room.membership.get(user) == "join"):
        return str(room.power.mute_level())
    if "demote" in kinds and _managed(user, hold.prior if hold else present, room):
        return NO_ENTRY
    return None


def _managed(user: UserId, prior: str, room: Room) -> bool:
    """Whether somebody held management rights with the level that stood there before anything was held."""
    level, power = as_level(prior), room.power
    users = {each: entry for each, entry in power.users.items() if each != user}
    if level is not None:
        users[user] = level
    highest = max((entry for each, entry in users.items() if each != power.bot), default=0)
    return replace(power, users=users, highest=highest).role(user) != "member"


def _keep(user: UserId, hold: Hold, target: str, present: str, room: Room, kinds: set[str]) -> Change | str | None:
    if hold.step == "overruled":
        return None
    if present == target:
        same = hold.step == "held" and hold.held == target
        return None if same else Change(user, "level", "held", hold.prior, target, write=False)
    if hold.step == "intended" or present == hold.held:  # not done yet, or another sanction took over
        return _set(user, "held", hold.prior, target, room, kinds)
    if hold.corrections >= MAX_CORRECTIONS:
        return Change(user, "level", "overruled", hold.prior, present, write=False)
    return _set(user, "corrected", hold.prior, target, room, kinds)


def _set(user: UserId, step: str, prior: str, target: str, room: Room, kinds: set[str]) -> Change | str:
    if not room.power.can_set_level(room.bot, user, as_level(target)):
        return "mute" if "mute" in kinds else "demote"
    return Change(user, "level", step, prior, target, write=True)


def _give_back(user: UserId, hold: Hold, present: str, room: Room) -> Change | str:
    by_hand = hold.step == "overruled" or present not in _ours(hold, room)
    if present == hold.prior or by_hand:  # given back already, or somebody else's to give
        return Change(user, "level", "released", hold.prior, hold.held, write=False)
    if not room.power.can_set_level(room.bot, user, as_level(hold.prior)):
        return "restore"
    return Change(user, "level", "released", hold.prior, hold.held, write=True)


def _ours(hold: Hold, room: Room) -> tuple[str, ...]:
    """What the bot may have written: with "intended" the new level, or still the one of the sanction before it."""
    if hold.step == "intended":
        return (hold.held, NO_ENTRY, str(room.power.mute_level()))
    return (hold.held,)


def _ban(user: UserId, kinds: set[str], room: Room) -> Change | str | None:
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
