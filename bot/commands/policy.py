"""policy: whether a room asks the policy server before it delivers messages; its owner decides.

Rules kept here:
- What it means, and what happens when the policy server is down, is said first. The owner confirms it by the number of
  the request, within a quarter of an hour.
- To stop asking takes no confirmation.
- Where the room does not ask by now, it is said why.

Left to others: the room's state (`bot/effects/policy_state.py`), joining (the process `answerable policy`).
"""

from bot.config.policy_server import LOCALPART
from moderation.duty.responsibility import require
from moderation.model.facts import DataAsked, PolicyServerSet
from moderation.rooms.policy_server import POLICY_STATE
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import Code, Line, Moment, RoomName, Span, Who, line
from storage import queries

from .confirmation import must_have_asked
from .invocation import Call, Command, Reply
from .room import OFF
from .set import ON


async def policy(call: Call) -> Reply:
    """Say whether the room asks it; `on` explains and, with the number of the request, begins; `off` ends it."""
    if not call.setup.policy_server:
        raise Refused("error.policy.none")
    word = call.given.word.lower()
    if not word:
        return Reply(await asking_lines(call) or _not_chosen(call), private=True)
    if word not in (*ON, *OFF):
        raise Refused("error.policy.what", given=word[:40])
    require("policy", call.caller, call.group, call.policy)
    return await (_on(call) if word in ON else _off(call))


async def _on(call: Call) -> Reply:
    room = call.group.room
    if call.group.condition != "protected":
        raise Refused("error.observed", room=room)
    if await queries.room_that_asks(call.db, room) is not None:
        raise Refused("error.policy.already", room=room)
    if call.given.request is None:
        asked = DataAsked(room=room, on=call.on, what="policy", subject=call.caller)
        return Reply(_preview(call), (asked,), private=True)
    await must_have_asked(call, "policy", f"policy {room}")
    begun = PolicyServerSet(room=room, on=call.on, step="on", by=call.caller)
    return Reply((line("policy.begun", room=RoomName(room)),), (begun,), private=True)


async def _off(call: Call) -> Reply:
    room = call.group.room
    if await queries.room_that_asks(call.db, room) is None:
        raise Refused("error.policy.not-on", room=room)
    ended = PolicyServerSet(room=room, on=call.on, step="off", by=call.caller)
    return Reply((line("policy.ended", room=RoomName(room)),), (ended,), private=True)


def _preview(call: Call) -> tuple[Line, ...]:
    name, room = call.setup.policy_server, RoomName(call.group.room)
    may = call.group.power.can_send(call.setup.bot, POLICY_STATE, state=True)
    level = call.group.power.required(POLICY_STATE, state=True)
    return (
        line("policy.what", room=room, name=Code(name)),
        line("policy.sees"),
        line("policy.encrypted"),
        line("policy.user", who=Who(_user(name))),
        line("policy.when-down", span=Span(call.setup.policy_down_ms)),
        *(() if may else (line("policy.lacks", type=Code(POLICY_STATE), level=level),)),
        line("policy.confirm", n=call.on, code=call.group.code),
    )


def _not_chosen(call: Call) -> tuple[Line, ...]:
    return (line("policy.status.off", room=RoomName(call.group.room)), line("policy.how"))


async def asking_lines(call: Call) -> tuple[Line, ...]:
    """Say how the room asks the policy server; nothing if its owner did not choose that."""
    room, name = call.group.room, call.setup.policy_server
    chosen = await queries.room_that_asks(call.db, room) if name else None
    if chosen is None:
        return ()
    if chosen.down_ms:
        return (line("policy.status.down", room=RoomName(room), since=Moment(chosen.down_ms)),)
    if (await queries.memberships_of(call.db, _user(name))).get(room) != "join":
        return (line("policy.status.waits", room=RoomName(room), who=Who(_user(name))),)
    return (line("policy.status.on", room=RoomName(room), since=Moment(chosen.since_ms)),)


def _user(name: str) -> UserId:
    return UserId(f"@{LOCALPART}:{name}")


SUBJECT = "room"
_WORDING = ("error.policy.what", "error.policy.number")
COMMANDS = (Command("policy", "manager", "word? request?", policy, shown_to="owner", wording=_WORDING),)
