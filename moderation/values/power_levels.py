"""Rights and roles in a room, from its `m.room.create` event and its power levels alone.

After the Matrix client-server API v1.19, `m.room.power_levels`, and the authorization rules of room version 12
(MSC4289: the creators of a room stand above every level, for ever). Older versions differ only in who the creators are
and in that levels may be written as text.

Rules kept here:
- Nothing here raises, whatever a homeserver sends; what cannot be read counts as absent.
- "Can" means that a homeserver would allow it to somebody who is joined; a method that is stricter says so.
- Roles come from the room itself (docs/model.md, "Roles").

Left to others: membership (who is joined, banned or has left), writing state (`bot/effects/align_room.py`), and the
levels that should be (`moderation/rooms/align_people.py`).
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .ids import SAFE_INT, UserId, is_user_id

CREATOR_LEVEL = SAFE_INT + 1  # above every level that can be written
OWNER_LEVEL = 100  # the least an owner has in rooms whose creators have no rank of their own
POWER_LEVELS = "m.room.power_levels"
INVITING = "*invite"  # stands where event types do, and is none: the level of inviting
SERVER_ACL = "m.room.server_acl"

Role = Literal["owner", "manager", "member"]
Right = Literal["post", "redact", "kick", "ban", "invite", "levels", "pin", "join_rules"]

# Without one of these the bot only looks on.
NEEDED_TO_PROTECT: frozenset[Right] = frozenset({"post", "redact", "kick", "ban", "levels"})

_DEFAULTS = {
    "users_default": 0,
    "events_default": 0,
    "state_default": 50,
    "ban": 50,
    "kick": 50,
    "redact": 50,
    "invite": 0,
}
_AT_THE_TOP = {"": "events_default", INVITING: "invite"}  # levels with no place among the event types
_INTEGER_TEXT = re.compile(r"\s*[+-]?[0-9]{1,4000}\s*\Z")
_FRACTION_TEXT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?\Z")  # as the records write a fraction
# Up to version 10 `content.creator` names the creator; since 11 it is the sender, and the key means nothing.
_NAMES_CREATOR = frozenset(str(number) for number in range(1, 11))


@dataclass(frozen=True, slots=True)
class Lack:
    """A right the bot does not have, and the level that would give it."""

    right: Right
    level: int


@dataclass(frozen=True, slots=True)
class Power:
    """The power levels of one room at one moment. Make it with `Power.of`."""

    creators: frozenset[UserId]  # users above every level; empty before room version 12
    users: Mapping[str, int] = field(hash=False)  # keys as they were written
    events: Mapping[str, int] = field(hash=False)
    users_default: int
    events_default: int
    state_default: int
    ban: int
    kick: int
    redact: int
    invite: int
    highest: int  # the highest level written for a person other than the bot
    bot: UserId | None = None  # our own account: neither owner nor manager, whatever its level
    implied: bool = False  # the room has no power levels event: `users` is what the authorization rules imply
    named: frozenset[str] = frozenset()  # which of the levels above were written; the others are defaults

    @classmethod
    def of(cls, create: object, levels: object, *, bot: UserId | None = None) -> "Power":
        """Read the raw `m.room.create` event and the content of `m.room.power_levels` (None if there is no event).

        Without the create event the creators are unknown, and in a room of version 12 every answer about them is wrong:
        fetch it. Pass `bot`, or the bot counts as the owner of a room that it made.
        """
        content = _mapping(levels)
        users = _levels(content.get("users"))
        if levels is None:
            users = dict.fromkeys(_first_creator(_mapping(create)), OWNER_LEVEL)
        return cls(
            creators=_creators(_mapping(create)),
            users=users,
            events=_levels(content.get("events")),
            highest=max((users[user] for user in _people(users) - {bot}), default=0),
            bot=bot,
            implied=levels is None,
            named=frozenset(_levels({name: content.get(name) for name in _DEFAULTS})),
            **_named_levels(content),
        )

    # Levels.

    def level(self, user: str) -> int:
        """Return the power level of `user`; `CREATOR_LEVEL` for creators of room version 12 and later."""
        if user in self.creators:
            return CREATOR_LEVEL
        return self.users.get(user, self.users_default)

    def is_creator(self, user: str) -> bool:
        """Return whether `user` stands above every level and can never be demoted, kicked or banned."""
        return user in self.creators

    def required(self, event_type: str, *, state: bool) -> int:
        """Return the "required power level" of an event type; memberships follow rules of their own."""
        return self.events.get(event_type, self.state_default if state else self.events_default)

    def manager_level(self) -> int:
        """Return the lowest level at which somebody is a manager: see `role`."""
        return max(min(self.ban, self.kick, self._redacting()), self.users_default + 1)

    def written(self, event_type: str) -> int | None:
        """Return the level written for an event type, for "" as `events_default`, or of `INVITING`; None if none is."""
        if (name := _AT_THE_TOP.get(event_type)) is None:
            return self.events.get(event_type)
        return int(getattr(self, name)) if name in self.named else None

    def with_written(self, event_type: str, level: int | None) -> "Power":
        """Return a copy with another written level, as `written` returns it; None removes it."""
        if (top := _AT_THE_TOP.get(event_type)) is None:
            others = {name: entry for name, entry in self.events.items() if name != event_type}
            return replace(self, events=others if level is None else {**others, event_type: level})
        named = self.named - {top} if level is None else self.named | {top}
        changes: dict[str, Any] = {top: _DEFAULTS[top] if level is None else level}
        return replace(self, named=named, **changes)

    # Rights.

    def can_send(self, user: str, event_type: str, *, state: bool = False) -> bool:
        """Apply authorization rule 8. For memberships use the methods below."""
        return self.level(user) >= self.required(event_type, state=state)

    def can_redact_others(self, user: str) -> bool:
        """Return whether `user` may send redactions that servers will apply to other people's events."""
        return self.level(user) >= self._redacting()

    def can_kick(self, actor: str, target: str) -> bool:
        """Apply authorization rule 5.5.4, which also covers refusing a knock and taking back an invitation."""
        return self.level(actor) >= self.kick and self.level(actor) > self.level(target)

    def can_ban(self, actor: str, target: str) -> bool:
        """Apply authorization rule 5.6.2."""
        return self.level(actor) >= self.ban and self.level(actor) > self.level(target)

    def can_unban(self, actor: str, target: str) -> bool:
        """Apply authorization rules 5.5.3 and 5.5.4: unbanning takes both the ban and the kick level."""
        return self.level(actor) >= self.ban and self.can_kick(actor, target)

    def can_set_level(self, actor: str, target: str, new: int | None) -> bool:
        """Return whether `actor` may give `target` the level `new`, or remove their entry if `new` is None.

        Authorization rules 8, 10.4, 10.9 and 10.10. Stricter than these in two things: an entry cannot be removed where
        `users_default` would then lift its owner above the actor; and a first power levels event is held to the same
        bounds as every later one (rule 10.5 would allow anything).
        """
        own = self.level(actor)
        if not self.can_send(actor, POWER_LEVELS, state=True) or target in self.creators:
            return False
        present = self.users.get(target)
        if present == new:  # nothing would be altered
            return True
        if present is not None and target != actor and present >= own:
            return False
        if new is None:
            return self.users_default <= own
        return -SAFE_INT <= new <= min(own, SAFE_INT)

    def can_set_required(self, actor: str, event_type: str, new: int | None) -> bool:
        """Return whether `actor` may set the level of an event type ("": `events_default`) or of inviting.

        Authorization rules 10.6 to 10.8.
        """
        own = self.level(actor)
        levels = [level for level in (self.written(event_type), new) if level is not None]
        return self.can_send(actor, POWER_LEVELS, state=True) and all(level <= min(own, SAFE_INT) for level in levels)

    # Mutes: there is no such thing in Matrix, only a level too low to post.

    def is_muted(self, user: str) -> bool:
        """Return whether `user` alone was silenced: below the level of posting and below everybody else.

        If everybody is silenced (`events_default` raised above `users_default`), nobody is muted in this sense; use
        `can_send` to ask whether somebody can post.
        """
        return self.level(user) < min(self.events_default, self.users_default)

    def mute_level(self) -> int:
        """Return a level at which nothing can be posted, lower than that of anybody not muted by name."""
        return max(-SAFE_INT, min(0, self.events_default, self.users_default, *self.events.values()) - 1)

    # Roles: docs/model.md.

    def role(self, user: str) -> Role:
        """Return the role of `user` in this room.

        Owners are the creators of room version 12; if there are none (or only the bot), those at the highest level, if
        that is 100 or more. Managers may kick, ban or redact others. Both must stand above `users_default`: a right
        that everybody has makes nobody responsible. So muted people have no role either.
        """
        if user == self.bot:
            return "member"
        if user in self.creators:
            return "owner"
        level = self.level(user)
        if level <= self.users_default:
            return "member"
        if not self._human_creators() and level >= OWNER_LEVEL and level == self.highest:
            return "owner"
        return "manager" if level >= min(self.ban, self.kick, self._redacting()) else "member"

    def owners(self) -> frozenset[UserId]:
        """Return all owners, joined or not; the bot is never one."""
        return self._with_role("owner")

    def managers(self) -> frozenset[UserId]:
        """Return all managers without the owners, joined or not; the bot is never one."""
        return self._with_role("manager")

    # The bot.

    def missing_for(self, bot: str) -> tuple[Lack, ...]:
        """Return the rights the bot lacks for its work, in the order in which they matter."""
        needed: dict[Right, int] = {
            "post": self.required("m.room.message", state=False),
            "redact": self._redacting(),
            "kick": self.kick,
            "ban": self.ban,
            "levels": self.required(POWER_LEVELS, state=True),
            "pin": self.required("m.room.pinned_events", state=True),
            "invite": self.invite,
            "join_rules": self.required("m.room.join_rules", state=True),
        }
        own = self.level(bot)
        return tuple(Lack(right, level) for right, level in needed.items() if own < level)

    def cannot_demote(self, bot: str, users: Iterable[UserId]) -> frozenset[UserId]:
        """Return those of `users` over whom the bot has no power: at or above its own level."""
        own = self.level(bot)
        return frozenset(user for user in users if user != bot and self.level(user) >= own)

    # Writing.

    def with_levels(
        self,
        content: Mapping[str, object] | None,
        changes: Mapping[UserId, int | None],
        required: Mapping[str, int | None] | None = None,
    ) -> dict[str, object]:
        """Return new content for `m.room.power_levels`: `content` as just read, with `changes` (None removes).

        `required`: the new levels of event types; "" is `events_default`, `INVITING` that of inviting.

        All else is kept as it was. Creators are left out of `users`, since a server refuses the whole event if one is
        in it (rule 10.4). If the room has no power levels event, its first creator's implied level is written down,
        since it would be lost otherwise.
        """
        after = dict(content or {})
        users: dict[str, object] = dict(self.users if self.implied else _mapping(after.get("users")))
        for user, level in changes.items():
            if level is None:
                users.pop(user, None)
            else:
                users[user] = level
        after["users"] = {user: level for user, level in users.items() if user not in self.creators}
        return _requiring(after, required or {})

    def _redacting(self) -> int:
        # Servers apply a redaction by the redact level, but first the event itself must be allowed (rule 8).
        return max(self.redact, self.required("m.room.redaction", state=False))

    def _human_creators(self) -> frozenset[UserId]:
        return self.creators - {self.bot}

    def _with_role(self, role: Role) -> frozenset[UserId]:
        named = self.creators | _people(self.users)
        return frozenset(user for user in named if self.role(user) == role)


def _level(value: object) -> int | None:
    """Return a level as servers read it: whole numbers, in old rooms also as text or with a fraction (cut off).

    The records write a fraction as text; no server has let such text written by a client into a room. Limited to what
    canonical JSON can carry, so that nobody reaches `CREATOR_LEVEL` by writing a number.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _INTEGER_TEXT.match(value):
        value = int(value)
    elif isinstance(value, str) and _FRACTION_TEXT.match(value):
        value = float(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    return max(-SAFE_INT, min(SAFE_INT, value)) if isinstance(value, int) else None


def _levels(value: object) -> dict[str, int]:
    """Return a map of levels without the entries that cannot be read as levels."""
    read = {key: _level(entry) for key, entry in _mapping(value).items()}
    return {key: level for key, level in read.items() if level is not None}


def _named_levels(content: Mapping[str, object]) -> dict[str, int]:
    """Return the levels at the top of the content, each with its default."""
    return {**_DEFAULTS, **_levels({name: content.get(name) for name in _DEFAULTS})}


def _requiring(content: dict[str, object], required: Mapping[str, int | None]) -> dict[str, object]:
    """Return the power levels with other levels for event types."""
    events = dict(_mapping(content.get("events")))
    for event_type, level in required.items():
        top = _AT_THE_TOP.get(event_type)
        place, name = (events, event_type) if top is None else (content, top)
        if level is None:
            place.pop(name, None)
        else:
            place[name] = level
    return {**content, "events": events} if required.keys() - _AT_THE_TOP.keys() else content


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        return {}
    return {key: entry for key, entry in value.items() if isinstance(key, str)}


def _people(users: Iterable[str]) -> frozenset[UserId]:
    """Return the keys of `users` that are user ids; old servers accept others too."""
    return frozenset(UserId(user) for user in users if is_user_id(user))


def _version(create: Mapping[str, object]) -> str:
    """Return the room version; "1" if none is given, as the specification has it."""
    version = _mapping(create.get("content")).get("room_version")
    return version if isinstance(version, str) else "1"


def _has_lasting_creators(version: str) -> bool:
    """Return whether creators stand above every level: MSC4289, stable since room version 12."""
    if version == "org.matrix.hydra.11":
        return True
    return version.isascii() and version.isdigit() and len(version) < 10 and int(version) >= 12


def _creators(create: Mapping[str, object]) -> frozenset[UserId]:
    if not _has_lasting_creators(_version(create)):
        return frozenset()
    more = _mapping(create.get("content")).get("additional_creators")
    named = [create.get("sender"), *(more if isinstance(more, list) else ())]
    return frozenset(UserId(user) for user in named if isinstance(user, str) and is_user_id(user))


def founders(create: object) -> frozenset[UserId]:
    """Return the sender of the `m.room.create` event and, since room version 12, the additional creators."""
    event = _mapping(create)
    return _first_creator(event) | _creators(event)


def _first_creator(create: Mapping[str, object]) -> frozenset[UserId]:
    """Return who made the room: the sender, or `content.creator` up to room version 10."""
    maker = create.get("sender")
    named = _mapping(create.get("content")).get("creator")
    if _version(create) in _NAMES_CREATOR and is_user_id(named):
        maker = named
    return frozenset({UserId(maker)} if isinstance(maker, str) and is_user_id(maker) else ())
