"""verify: people prove who they are, in a direct room with the bot.

Rules kept here:
- What is typed is sealed before it is queued, never repeated, and redacted where the bot may.
- Said before others it has no effect: it is answered in private and redacted.
- Without words it says what the rooms ask for, what will be kept, and for how long.

Left to others: the dialogue (`bot/identity/dialogue.py`), what rooms ask for (`moderation/`).
"""

from bot.identity.asking import Asking
from bot.identity.redacted_input import ALIASES, NAME
from moderation.model.actions.base import Action
from moderation.model.actions.removal import Redact
from moderation.model.context import PersonView, RoomView
from moderation.people.verification import asked_of, exempt, level_reached
from moderation.values.errors import Refused
from moderation.values.levels import REACHES
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, line
from storage import queries
from storage.identity.keyring import Locked

from .invocation import Call, Command, Reply

MAX_ROOMS = 20


async def verify(call: Call) -> Reply:
    """Show the caller's level, or go one step on."""
    asking = call.setup.verification
    if call.here.purpose != "direct":
        # Wherever it is asked, what was typed concerns nobody else.
        pointer = line("verify.in-direct", command=Code(f"{call.setup.prefix}verify"))
        return Reply((pointer,), actions=_gone(call), alone=True)
    if not call.given.reason.strip():
        return Reply(tuple(await _standing(call, asking)), private=True)
    if asking is None:
        raise Refused("error.verify.off")
    return _step(call, asking, call.given.reason.strip())


def _step(call: Call, asking: Asking, words: str) -> Reply:
    try:
        queued = asking.action(call.here.room, call.caller, words, call.on)
    except Locked:
        asking.hush.closed(call.caller)
        return Reply((line("error.verify.locked"),), actions=_gone(call))
    first = words.split()[0].lower()
    begun = (line("verify.begun.email"),) if first == "email" and "email" in asking.offered else ()
    stays = () if _may_redact(call) else (line("verify.stays"),)
    return Reply((*begun, *stays), actions=(queued, *_gone(call)))


def _gone(call: Call) -> tuple[Action, ...]:
    """Redact what was typed, where the bot may."""
    if call.event is None or not call.given.reason.strip() or not _may_redact(call):
        return ()
    return (Redact(room=call.here.room, event=call.event.event, subject=call.caller),)


def _may_redact(call: Call) -> bool:
    return call.here.power.can_redact_others(call.setup.bot)


async def _standing(call: Call, asking: Asking | None) -> list[Line]:
    """Show the caller's level, what is asked of them, what they can do, and what will be kept."""
    person = (await call.context(call.caller)).subject
    lines = [line("verify.level", level=person.verified, what=Phrase(f"verify.is.{person.verified}"))]
    in_force = [proof for proof in person.proofs if call.now_ms < proof.until]
    lines += [line("verify.holds", method=Phrase(f"verify.method.{p.method}"), until=Moment(p.until)) for p in in_force]
    for room in (await queries.groups_of(call.db, call.caller))[:MAX_ROOMS]:
        view = await call.setup.knowledge.room(call.db, room)
        lines += _asked(call, view, person) if view is not None else ()
    offered = asking.offered if asking is not None else ()
    lines += [line(f"verify.how.{name}", level=int(REACHES[name])) for name in (*offered, "vouch")]
    return [*lines, line("verify.kept"), line("verify.kept-not")]


def _asked(call: Call, room: RoomView, person: PersonView) -> list[Line]:
    """Say what a room asks of the caller, and whether they have it."""
    wanted = asked_of(room, call.policy)
    level = wanted.manage if room.power.role(call.caller) == "manager" else wanted.write
    if level == 0 or wanted.below == "off" or exempt(call.caller, room, call.setup.bot, call.policy):
        return []
    enough = level_reached(person.proofs, wanted.methods, room, call.now_ms) >= level
    methods = Code(", ".join(sorted(wanted.methods)))
    key = f"verify.room.{'reached' if enough else 'missing'}"
    return [line(key, room=RoomName(room.room), level=level, methods=methods)]


SUBJECT = "yourself"
COMMANDS = (Command(NAME, "everyone", "reason*", verify, aliases=ALIASES, anywhere=True, recorded=False),)
