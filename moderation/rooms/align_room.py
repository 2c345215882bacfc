"""Desired state of the room itself: who may post and join while posting is suspended or the room is closed.

Rules kept here, besides those of `align_people.py`:
- Suspended: posting takes the lowest level at which somebody is a manager. Closed: it takes the bot's own level, and
  nobody joins uninvited. Never more than the bot has itself, so that it can go on speaking and give everything back.
  Creators of a room of version 12 are above every level, and can post whatever is written.
- Only the right to post is taken: everybody can still redact their own messages, managers can redact those of others,
  so nobody's role in the room changes.
- Levels that are already as high, and join rules that say more than could be given back, are left alone.
- Gated by what it asks of members: people ask to come in (`moderation/people/verification.py` says who may), unless the
  room is closed.
- Gated by a measure, or locked down: nobody comes in without asking or being invited by people who run the room, not
  even those whom a list lets in. A room that takes more than that already stays as it is. Locked down: also suspended.

Pure. Left to others: reading and writing the room (`bot/effects/align_room.py`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from moderation.model.context import InForce
from moderation.model.facts import OF_ROOMS
from moderation.values.ids import SAFE_INT, UserId
from moderation.values.power_levels import OWNER_LEVEL, Power

from . import align_people
from .align_people import (
    INVITE,
    JOINING,
    POSTING,
    Alignment,
    Change,
    KeptLevel,
    RoomPicture,
    Thing,
    as_level,
    as_text,
    event_type,
    is_required,
    natural,
    settle,
)

# Event types that count as posting if they have a level of their own.
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
MORE = "+"  # suffix of a join rule that says more than one word
KNOCK, KNOCK_RESTRICTED = "knock", f"knock_restricted{MORE}"  # with the list of rooms whose members may come in
RESTRICTED = f"restricted{MORE}"
BY_INVITATION = "invite"
KNOCK_LISTED = f"{KNOCK}{MORE}"  # the list stays written, and has no effect
_OPEN = ("public", RESTRICTED, KNOCK_RESTRICTED)
SUSPENDS, GATES = frozenset({"suspend", "lockdown"}), frozenset({"gate", "lockdown"})
ALLOW = "allow"
ITSELF = UserId("")


def align(room: RoomPicture, in_force: Iterable[InForce]) -> Alignment:
    """Return the difference between all that should hold, for people and for the room itself, and what does."""
    measures = tuple(in_force)
    kinds: set[str] = {each.kind for each in measures if each.kind in OF_ROOMS}
    return align_people.align(room, measures) + _align_room(room, kinds)


def join_rule(content: object) -> str:
    """Return the join rule in the content of its event, as `RoomPicture.joining` has it."""
    if not isinstance(content, dict) or not isinstance(rule := content.get("join_rule"), str):
        return ""
    if not rule.isidentifier() or not set(content) <= {"join_rule", ALLOW}:
        return MORE
    return rule + MORE if ALLOW in content else rule


def join_rules(rule: str, content: Mapping[str, object] | None) -> dict[str, object]:
    """Return content with `rule`, as `join_rule` reads it; the list of rooms in `content` is kept."""
    listed = (content or {}).get(ALLOW) if rule.endswith(MORE) else None
    return {"join_rule": rule.removesuffix(MORE)} | ({} if listed is None else {ALLOW: listed})


@dataclass(frozen=True, slots=True)
class _View:
    """Data shared by all comparisons of one room's values."""

    room: RoomPicture
    kinds: set[str]  # of the measures in force
    before: Power  # without the levels kept because of these measures

    @property
    def strongest(self) -> str:
        return "close" if "close" in self.kinds else "suspend" if self.kinds & SUSPENDS else ""

    @property
    def levels(self) -> dict[str, int]:
        """The level of posting under each measure."""
        own = self.before.level(self.room.bot)
        if own > SAFE_INT:  # above every level, as a creator
            own = max(OWNER_LEVEL, self.before.highest + 1)
        return {"suspend": min(self.before.manager_level(), own), "close": own}

    @property
    def open_to(self) -> str:
        """The level without a measure of all event types that have no level of their own."""
        hold = self.room.holds.get((ITSELF, POSTING))
        prior = as_level(hold.prior) if hold else self.before.events_default
        return str(prior or 0)

    def overruled(self, what: str) -> bool:
        hold = self.room.holds.get((ITSELF, what))
        return hold is not None and hold.step == "overruled"


def _align_room(room: RoomPicture, kinds: set[str]) -> Alignment:
    view = _View(room, kinds, natural(room.power, room.holds))
    wanted = _wanted(view)
    held = [what for user, what in room.holds if user == ITSELF and is_required(what)]
    found = [settle(_required(what, view), wanted.get(what)) for what in dict.fromkeys((*wanted, *held))]
    found.append(_joining(room, kinds))
    changes = tuple(each for each in found if isinstance(each, Change))
    impossible = dict.fromkeys((ITSELF, each) for each in found if isinstance(each, str))
    return Alignment(changes, tuple(impossible))


def _wanted(view: _View) -> dict[str, str]:
    """Return the desired levels. What somebody overruled stays noted until the measure ends."""
    inviting = _inviting(view)
    if not view.strongest:
        return inviting
    level, events = view.levels[view.strongest], view.before.events
    named = [f"{POSTING} {kind}" for kind in SILENCED]
    wanted = {what: str(level) for what in named if events.get(event_type(what), level) < level or view.overruled(what)}
    if view.before.events_default < level or view.overruled(POSTING):
        wanted[POSTING] = str(level)
        if REDACTION not in events:
            wanted[f"{POSTING} {REDACTION}"] = view.open_to
    return wanted | inviting


def _inviting(view: _View) -> dict[str, str]:
    level = view.levels["suspend"]
    if view.kinds & GATES and (view.before.invite < level or view.overruled(INVITE)):
        return {INVITE: str(level)}
    return {}


def _required(what: str, view: _View) -> Thing:
    kind, room = event_type(what), view.room
    return Thing(
        ITSELF,
        what,
        as_text(room.power.written(kind)),
        room.holds.get((ITSELF, what)),
        may=lambda text: room.power.can_set_required(room.bot, kind, as_level(text)),
        may_not=("gate" if what == INVITE else view.strongest, "reopen"),
        also_ours=(view.open_to,) if kind == REDACTION else tuple(str(level) for level in view.levels.values()),
    )


def _joining(room: RoomPicture, kinds: set[str]) -> Change | str | None:
    hold = room.holds.get((ITSELF, JOINING))
    target = (
        _closed_to(hold) if "close" in kinds else _shut(room, hold, kinds) or (_gate(room, hold) if room.gate else None)
    )
    ours = hold is not None and room.joining in (hold.held, target)
    if target and _says_more(room.joining, target) and not ours and (hold is None or hold.step != "overruled"):
        # Writing would lose what the rule says; if it was set by hand meanwhile, it is respected at once.
        return Change(ITSELF, JOINING, "overruled", hold.prior, MORE, write=False) if hold else _left(target)
    if target and hold is None and room.joining in _as_good(target):
        return None
    may: Callable[[str], bool] = lambda _text: room.power.can_send(room.bot, JOIN_RULES, state=True)  # noqa: E731
    thing = Thing(ITSELF, JOINING, room.joining, hold, may=may, may_not=("joining", "joining"), also_ours=_OURS)
    return settle(thing, target)


def _left(target: str) -> str:
    """Return the name under which a join rule that is left alone is reported."""
    return "join-rule" if target == BY_INVITATION else "join-rule-gate"


# Values the bot may have written there, for one measure or another.
_OURS = (BY_INVITATION, BY_INVITATION + MORE, KNOCK, KNOCK_RESTRICTED, KNOCK_LISTED)


def _closed_to(hold: KeptLevel | None) -> str:
    """Return the join rule of a closed room: by invitation only.

    A list of rooms that must be given back stays written, and has no effect meanwhile.
    """
    return BY_INVITATION + MORE if hold and hold.prior.endswith(MORE) and hold.prior != MORE else BY_INVITATION


def _shut(room: RoomPicture, hold: KeptLevel | None, kinds: set[str]) -> str | None:
    """Return the join rule under a measure that gates the room; None where nobody comes in uninvited anyway."""
    prior = hold.prior if hold else room.joining
    if not kinds & GATES or prior not in _OPEN:
        return None
    return KNOCK_LISTED if prior.endswith(MORE) else KNOCK


def _gate(room: RoomPicture, hold: KeptLevel | None) -> str:
    """Return the join rule of a gated room: everybody may ask.

    People whom the list of a restricted room lets in may still come in.
    """
    prior = hold.prior if hold else room.joining
    return KNOCK_RESTRICTED if prior in (RESTRICTED, KNOCK_RESTRICTED) else KNOCK


def _says_more(rule: str, target: str) -> bool:
    """Return whether a rule says something that `target` would not keep."""
    kept = target in (KNOCK_RESTRICTED, KNOCK_LISTED) and rule in (RESTRICTED, KNOCK_RESTRICTED, KNOCK_LISTED)
    return rule.endswith(MORE) and not kept


def _as_good(target: str) -> tuple[str, ...]:
    """Return the rules under which nothing needs to be written."""
    return ("", BY_INVITATION, "private") if target == BY_INVITATION else ("", target)
