"""Desired state of the room itself: who may post and join while posting is suspended or the room is closed.

Rules this module keeps, besides those of `sanctions.py`:
- suspended: posting takes the lowest level at which somebody is a manager; closed: the bot's own, and nobody joins
  unasked. Never more than the bot has itself, so that it can go on speaking and give everything back. Creators of a
  room of version 12 stand above every level, and can post whatever is written;
- what is taken is the right to post and nothing else: everybody can still take back their own messages, managers can
  remove those of others, so that nobody's role in the room changes;
- levels that are as high already, and join rules that say more than one word (which could not be given back from a
  record), are left alone.
Pure. Left to others: reading and writing the room (`bot/reconcile.py`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from . import sanctions
from .context import InForce
from .facts import OF_ROOMS
from .ids import SAFE_INT, UserId
from .power import OWNER_LEVEL, Power
from .sanctions import (
    JOINING,
    POSTING,
    Alignment,
    Change,
    Room,
    Thing,
    as_level,
    as_text,
    event_type,
    natural,
    settle,
)

# What counts as posting where it has a level of its own.
SILENCED = (
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.reaction",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.poll.response",
    "org.matrix.msc3381.poll.response",
)
REDACTION = "m.room.redaction"
JOIN_RULES = "m.room.join_rules"
MORE = "+"  # a join rule that says more than one word
BY_INVITATION = "invite"
ITSELF = UserId("")


def align(room: Room, in_force: Iterable[InForce]) -> Alignment:
    """The difference between all that should hold, for people and for the room itself, and what does."""
    measures = tuple(in_force)
    kinds: set[str] = {each.kind for each in measures if each.kind in OF_ROOMS}
    return sanctions.align(room, measures) + _align_room(room, kinds)


def join_rule(content: object) -> str:
    """The join rule in the content of its event, as `Room.joining` has it."""
    if not isinstance(content, dict) or not isinstance(rule := content.get("join_rule"), str):
        return ""
    return rule if set(content) == {"join_rule"} and rule.isidentifier() else MORE


@dataclass(frozen=True, slots=True)
class _View:
    """What all the values of one room have in common while they are compared."""

    room: Room
    kinds: set[str]  # of the measures in force
    before: Power  # without what is held on their account

    @property
    def strongest(self) -> str:
        return "close" if "close" in self.kinds else "suspend" if "suspend" in self.kinds else ""

    @property
    def levels(self) -> dict[str, int]:
        """What posting takes under each measure."""
        own = self.before.level(self.room.bot)
        if own > SAFE_INT:  # above every level, as a creator
            own = max(OWNER_LEVEL, self.before.highest + 1)
        return {"suspend": min(self.before.manager_level(), own), "close": own}

    @property
    def open_to(self) -> str:
        """What all that has no level of its own takes without a measure."""
        hold = self.room.holds.get((ITSELF, POSTING))
        prior = as_level(hold.prior) if hold else self.before.events_default
        return str(prior or 0)

    def overruled(self, what: str) -> bool:
        hold = self.room.holds.get((ITSELF, what))
        return hold is not None and hold.step == "overruled"


def _align_room(room: Room, kinds: set[str]) -> Alignment:
    view = _View(room, kinds, natural(room.power, room.holds))
    wanted = _wanted(view)
    held = [what for user, what in room.holds if user == ITSELF and what.startswith(POSTING)]
    found = [settle(_posting(what, view), wanted.get(what)) for what in dict.fromkeys((*wanted, *held))]
    found.append(_joining(room, kinds))
    changes = tuple(each for each in found if isinstance(each, Change))
    impossible = dict.fromkeys((ITSELF, each) for each in found if isinstance(each, str))
    return Alignment(changes, tuple(impossible))


def _wanted(view: _View) -> dict[str, str]:
    """What should stand there. What somebody overruled stays noted until the measure ends."""
    if not view.strongest:
        return {}
    level, events = view.levels[view.strongest], view.before.events
    named = [f"{POSTING} {kind}" for kind in SILENCED]
    wanted = {what: str(level) for what in named if events.get(event_type(what), level) < level or view.overruled(what)}
    if view.before.events_default < level or view.overruled(POSTING):
        wanted[POSTING] = str(level)
        if REDACTION not in events:
            wanted[f"{POSTING} {REDACTION}"] = view.open_to
    return wanted


def _posting(what: str, view: _View) -> Thing:
    kind, room = event_type(what), view.room
    return Thing(
        ITSELF,
        what,
        as_text(room.power.written(kind)),
        room.holds.get((ITSELF, what)),
        may=lambda text: room.power.can_set_required(room.bot, kind, as_level(text)),
        may_not=(view.strongest, "reopen"),
        also_ours=(view.open_to,) if kind == REDACTION else tuple(str(level) for level in view.levels.values()),
    )


def _joining(room: Room, kinds: set[str]) -> Change | str | None:
    hold = room.holds.get((ITSELF, JOINING))
    target = BY_INVITATION if "close" in kinds else None
    if target and room.joining == MORE and (hold is None or hold.step != "overruled"):
        # To write over it would lose what it says; set by hand meanwhile, it is respected at once.
        return Change(ITSELF, JOINING, "overruled", hold.prior, MORE, write=False) if hold else "join-rule"
    if target and hold is None and room.joining in ("", BY_INVITATION, "private"):
        return None
    may: Callable[[str], bool] = lambda _text: room.power.can_send(room.bot, JOIN_RULES, state=True)  # noqa: E731
    thing = Thing(
        ITSELF, JOINING, room.joining, hold, may=may, may_not=("joining", "joining"), also_ours=(BY_INVITATION,)
    )
    return settle(thing, target)
