"""The person whom a command names without their id: by display name, or by the local part of their id.

Rules kept here:
- Nobody is acted on by a guess. A name that fits several people, that looks like the name of somebody else, or that
  somebody else bore within a day is refused, with the ids of all whom it may mean. A mention that the client added
  tells those apart who bear the name themselves.
- In a reply, a name that is not that of the person replied to is refused.
- The answer says who was understood, by id.

Left to others: which words are a name (`parse_name.py`).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from bot.events.parse_fields import object_of
from moderation.duty.responsibility import KNOWN_FOR_MS
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.events import Json, MembershipChanged, MessagePosted
from moderation.values.ids import UserId, is_user_id
from moderation.values.notices import Line, Who, line
from storage import queries

from .invocation import Call, Command, Reply
from .parse import Spoken
from .parse_name import NamesMeant, bare, names_in, same_name
from .permalinks import is_link
from .rights import which_room

MOST_QUOTED = 80  # characters of a command
MOST_SHOWN = 5  # people in a refusal
MOST_ALIKE = 20  # people of one name that are told apart by when they were here
MOST_CHANGES = 500  # of names and membership in a day that are looked through


async def with_id(call: Call, command: Command, spoken: Spoken, replied_to: UserId | None) -> tuple[Spoken, str]:
    """Put the id in the place of a name. Returns the name too; "" if there was none. Raises `Refused`."""
    words = spoken.words
    if not command.takes_person or not words or _is_plain(words[0]) or (command.by_reply and replied_to is not None):
        return spoken, ""
    if call.group.purpose != "group":
        raise await which_room(call, " ".join((spoken.name, *words))[:MOST_QUOTED])
    people = await queries.names_in(call.db, call.group.room)
    names = await _known_here(call, await asyncio.to_thread(names_in, words, people))
    meant = _meant(call, names, replied_to)
    if meant is None and replied_to is None:
        return _unnamed(command, spoken), ""
    if meant is None:
        return spoken, ""
    if replied_to is not None and meant != replied_to:
        raise Refused("error.user.reply", given=_short(names.given), who=meant, other=Who(replied_to))
    if meant not in _mentions(call):
        await _must_be_worn_by_nobody_else(call, names.given, meant)
    return replace(spoken, words=(meant, *words[names.named[meant] :])), names.given


def understood(reply: Reply, given: str, user: UserId | None) -> Reply:
    """Say first whom the bot understood by a name."""
    if not given or user is None or not reply.lines:
        return reply
    said: Line = line("named.person", given=_short(given), who=Who(user))
    return replace(reply, lines=(said, *reply.lines))


def _is_plain(word: str) -> bool:
    """Tell whether a word is an id, or is meant as one, or is a number or a length of time."""
    return (word.startswith("@") and ":" in word.rstrip(":,")) or word.lstrip("#")[:1].isdecimal() or is_link(word)


def _unnamed(command: Command, spoken: Spoken) -> Spoken:
    """Return what names nobody as it is, if it may be a reason. Raises `Refused`."""
    word = bare(spoken.words[0])
    reason = command.by_reply or command.spec.endswith("user? reason*")
    if word and (not reason or spoken.words[0].startswith(("@", "＠"))):
        raise Refused("error.user.nobody", given=_short(word))
    return spoken


async def _known_here(call: Call, names: NamesMeant) -> NamesMeant:
    """Leave out who was last in the room longer ago than managers may deal with people."""
    if len(names.people) > MOST_ALIKE:
        return names
    since, room = call.now_ms - KNOWN_FOR_MS, call.group.room
    gone = {user for user in names.people if not await queries.is_or_was_in(call.db, room, user, since)}
    named = {user: count for user, count in names.named.items() if user not in gone}
    return replace(names, named=named, alike=names.alike - gone)


def _meant(call: Call, names: NamesMeant, replied_to: UserId | None) -> UserId | None:
    """Return the one person meant; None if the words name nobody. Raises `Refused`."""
    if not names.named and (not names.alike or replied_to is not None):
        return None
    if len(names.people) == 1 and names.named:
        return names.people[0]
    mentioned = [user for user in names.named if user in _mentions(call) and user != replied_to]
    if len(mentioned) == 1:
        return mentioned[0]
    raise _several(names.given, names.people, len(names.named))


def _several(given: str, people: tuple[UserId, ...], named: int) -> Refused:
    shown = ", ".join(people[:MOST_SHOWN]) + (" …" if len(people) > MOST_SHOWN else "")
    return Refused("error.user.several" if named else "error.user.alike", given=_short(given), people=shown)


def _mentions(call: Call) -> frozenset[str]:
    content: Mapping[str, Json] = call.event.content if isinstance(call.event, MessagePosted) else {}
    users = object_of(content.get("m.mentions")).get("user_ids")
    return frozenset(str(user) for user in users if is_user_id(user)) if isinstance(users, list) else frozenset()


async def _must_be_worn_by_nobody_else(call: Call, given: str, meant: UserId) -> None:
    """Raise `Refused` if somebody else bore the name within a day: older messages may show it."""
    room, since = call.group.room, call.now_ms - DAY_MS
    records = await queries.records_of_names(call.db, room, since, MOST_CHANGES + 1)
    if len(records) > MOST_CHANGES:
        raise Refused("error.user.busy", given=_short(given), who=meant)
    for record in records:
        event = call.setup.said_at(room, record)
        if isinstance(event, MembershipChanged) and event.user != meant and same_name(event.display_name or "", given):
            raise Refused("error.user.bore", given=_short(given), who=meant, other=Who(event.user))


def _short(name: str) -> str:
    return name.strip()[:60]
