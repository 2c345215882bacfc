"""The dispatcher of commands and reactions: finds out what is asked, for which room, and whether it is allowed.

Rules kept here:
- The caller's rights are those in the room concerned, wherever the command is said.
- A refusal is an answer that names what was wrong and the next step. It changes nothing.
- In a group, what is not one of our commands is left alone, since other bots listen there too.

The command itself stands in the journal like any message.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.identity.redacted_input import NAME, Hush
from bot.pipeline.judge_event import unharmed
from bot.pipeline.unit_of_work import Answer
from bot.runtime.budget import Budget
from bot.texts.refusal import refusal_line
from moderation.cases.card_reactions import NUMBERS, UNDERSTOOD
from moderation.duty.responsibility import KNOWN_FOR_MS, is_operator
from moderation.model.context import RoomView
from moderation.model.facts import CaseClaimed, CaseDecided, CaseExtended, ConsoleCommand
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.events import MessagePosted, ReactionGiven, Received
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.notices import Code, Moment, line
from storage import queries

from . import plain_words
from .cases import answered as answered_question
from .cases import pressed
from .invocation import Call, Command, CommandSetup, Reply, answered, discreet
from .named_person import understood, with_id
from .parse import (
    EVERYWHERE,
    MAX_REASON,
    WORDING,
    Arguments,
    Spoken,
    bind,
    case_number,
    is_command,
    read,
    shows,
    spoken_in,
)
from .registry import COMMANDS
from .report import flag
from .rights import is_inside, manages, may_read_here, must_manage, which_room

MOST_ASKED = 60  # commands of one person in an hour
MOST_ORDERED = 600  # of a person who manages the room, or of an operator
MOST_EXPORTS = 5  # of one person in a day
DEFECT = Reply((line("error.defect"),), refused=True)
CLOSE = 0.7  # similarity to one of ours at which a mistyped command is answered in a group


class Commands:
    """The `Responder` of the pipeline."""

    def __init__(self, setup: CommandSetup) -> None:
        self._setup = setup
        self._asked = Budget(MOST_ASKED)
        self._exports = Budget(MOST_EXPORTS, DAY_MS)
        self._guided = Budget(1)
        self._hush = setup.verification.hush if setup.verification is not None else Hush(setup.prefix)

    def asks(self, event: MessagePosted | ReactionGiven, *, direct: bool) -> bool:
        """Tell whether the event may ask something of the bot; `direct`: it was sent in a direct room."""
        if direct:
            return not isinstance(event, MessagePosted) or not (event.is_notice or event.replaces)
        if isinstance(event, ReactionGiven):  # most reactions ask nothing
            return event.key.replace("\ufe0f", "") in (*UNDERSTOOD, *NUMBERS) or self._setup.configured.reports.means(
                event.key
            )
        if is_command(event.body, self._setup.prefix):
            return True
        return not event.asks_to_verify and self._hush.asks(event)

    async def begin(self, db: AsyncConnection) -> None:
        """Read what must be known before the first message."""
        await self._hush.begin(db)

    def hushed(self, event: Received) -> bool:
        """Tell whether the words of this event, said in a direct room, must not be recorded."""
        return self._hush.covers(event) or self._is_unrecorded(event)

    def _is_unrecorded(self, event: Received) -> bool:
        spoken = read(event, self._setup.prefix) if isinstance(event, MessagePosted) else None
        command = COMMANDS.get(spoken.name) if spoken is not None else None
        return command is not None and not command.recorded

    def without_token(self, event: Received) -> MessagePosted | None:
        """Return the event without its code or address, if that is all it holds and was said before others."""
        return self._hush.without_token(event)

    async def respond(
        self, db: AsyncConnection, event: MessagePosted | ReactionGiven, room: RoomView, on: int
    ) -> Answer | None:
        """Return the answer, or None if nothing was asked."""
        call = Call(db, event.sender, event.received_ms, event, room, room, Arguments(), on, self._setup)
        return await unharmed(on, room.room, self._respond(call, event), _answer(call, DEFECT))

    async def _respond(self, call: Call, event: MessagePosted | ReactionGiven) -> Answer | None:
        room = call.here
        if isinstance(event, ReactionGiven) and room.purpose == "direct":
            return await self._pressed_alone(call, event)
        if isinstance(event, ReactionGiven):
            return await _reaction(call, event)
        spoken = self._verifying(event, room) or read(event, self._setup.prefix)
        if spoken is None:
            return await self._plainly(call, event) if room.purpose == "direct" else None
        command = COMMANDS.get(spoken.name)
        if (spent := await self._spent(call, command)) is not None:
            return spent
        return await _command(call, command, spoken) if command is not None else _unknown(call, spoken)

    async def carry_out(
        self, db: AsyncConnection, asked: ConsoleCommand, room: RoomView, on: int, now_ms: int
    ) -> Answer:
        """Return what a command given in the web console brings; it counts as said in `room`, its direct room.

        It has no rights of an operator: the homeserver can speak as its users, so it could have got the link.
        """
        setup = replace(self._setup, configured=self._setup.configured.without_operator(asked.subject))
        call = Call(db, asked.subject, now_ms, None, room, room, Arguments(), on, setup)
        if not asked.words.strip():  # words that are not kept, after a crash
            return Answer()
        spoken = spoken_in(asked.words)
        command = COMMANDS.get(spoken.name)
        if (spent := await self._spent(call, command)) is not None:
            return spent
        if command is None:
            return _unknown(call, spoken) or Answer()
        if not command.recorded:
            return _answer(call, _refusal(Refused("error.console.in-chat")))
        return await _command(call, command, spoken)

    async def _plainly(self, call: Call, event: MessagePosted) -> Answer | None:
        """Answer words in a direct room that are no command: a reason that was asked for, or how to ask."""
        if event.is_notice or event.replaces is not None or self._hush.is_open(event):
            return None
        try:
            reply = await plain_words.reason_given(call)
        except Refused as refused:
            reply = _refusal(refused)
        if reply is not None:
            return await self._spent(call, COMMANDS["appeal"]) or _answer(call, reply)
        return plain_words.guide(call) if self._guided.take(call.caller, call.now_ms) == "granted" else None

    async def _pressed_alone(self, call: Call, event: ReactionGiven) -> Answer | None:
        """Do for a reaction under a message of the bot in a direct room what its command does."""
        name = plain_words.KEYS.get(event.key.replace("\ufe0f", ""))
        if name is None or not await plain_words.answers_bot(call, event.target):
            return None
        if (spent := await self._spent(call, COMMANDS[name])) is not None:
            return spent
        try:
            run = plain_words.ask_reason if name == "appeal" else COMMANDS[name].run
            reply = await run(call)
        except Refused as refused:
            reply = _refusal(refused)
        return _answer(call, reply)

    async def _spent(self, call: Call, command: Command | None) -> Answer | None:
        """Return the answer to a person who has asked too often; None if they have not.

        The answer is empty once they were told.
        """
        who, now = call.caller, call.now_ms
        if command is None and call.here.purpose == "group":  # mostly what other bots are asked
            return None
        budget = self._exports if command is not None and command.exports else self._asked
        more = budget is self._asked and budget.is_spent(who, now) and await _orders(call)
        granted = budget.take(who, now, MOST_ORDERED if more else 0)
        if granted == "granted":
            return None
        if granted == "told" and call.event is not None:
            return Answer()
        spent = line("error.too-often", until=Moment(budget.free_at(who)))
        return _answer(call, Reply((spent,), private=True, refused=True))

    def _verifying(self, event: MessagePosted, room: RoomView) -> Spoken | None:
        words = self._hush.words(event, direct=room.purpose == "direct")
        return Spoken(NAME, tuple(words.split()), too_long=len(words) > MAX_REASON) if words is not None else None


async def _orders(call: Call) -> bool:
    """Tell whether the caller manages the group this was said in, or one that it is said for, or is an operator."""
    if is_operator(call.caller, call.policy):
        return True
    if call.event is None:  # else they would give it in a desk
        return bool(await queries.answers_for(call.db, call.caller))
    served = [await call.setup.knowledge.room(call.db, room) for room in call.here.serves]
    return any([group is not None and await manages(call, group) for group in served or [call.here]])


async def _command(call: Call, command: Command, spoken: Spoken) -> Answer:
    try:
        group = await _group_of_case(call, command, spoken)
        if group is None:
            group = await _group(call, command, spoken)
        call = replace(call, group=group)
        if spoken.too_long:
            raise Refused("error.too-long")
        if command.who == "manager" and not command.anywhere:  # else the command finds their groups itself
            await must_manage(call, group)
        elif command.inside and not await is_inside(call, group.room):
            raise Refused("error.group.outside", room=group.room)
        replied_to = await _replied_to(call)
        spoken, name = await with_id(call, command, spoken, replied_to)
        given = bind(command.spec, spoken.words, replied_to=replied_to)
        await _must_be_shown(call, given, spoken)
        call = replace(call, given=given)
        reply = understood(await command.run(call), name, given.user)
    except Refused as refused:
        reply = _refusal(refused, command)
    return _answer(call, discreet(call, reply) if command.discreet else await _for_readers(call, reply))


async def _reaction(call: Call, event: ReactionGiven) -> Answer | None:
    """Act on a reaction: under a card it decides, under a message in a group it may report the message."""
    if call.here.purpose == "group":
        return await _flagged(call, event)
    in_desk = call.here.purpose == "desk"
    n = await queries.case_by_card(call.db, event.target) if in_desk else None
    question = await queries.question_of(call.db, event.target) if in_desk and not n else None
    n = question.n if question else n
    case = await queries.case_view(call.db, n) if n else None
    group = await call.setup.knowledge.room(call.db, case.room) if case else None
    if n is None or group is None or group.room not in call.here.serves:
        return None
    call = replace(call, group=group, given=Arguments(case=n))
    try:
        if event.key.replace("\ufe0f", "") in (*UNDERSTOOD, *NUMBERS):
            await must_manage(call, group)
        reply = await (answered_question(call, question, event.key) if question else pressed(call, n, event.key))
    except Refused as refused:
        reply = _refusal(refused)
    if reply is None:
        return None
    several = question is not None and question.what == "together"
    shown = any(isinstance(fact, CaseDecided | CaseClaimed | CaseExtended) for fact in reply.facts)
    if shown and not several:  # the card itself will show it
        return Answer(reply.facts, reply.actions)
    return _answer(call, await _for_readers(call, reply))


async def _for_readers(call: Call, reply: Reply) -> Reply:
    """Return the reply; to the caller alone if others in this desk may not read of the room it is about."""
    if call.here.purpose != "desk" or call.group.purpose != "group" or not reply.lines:
        return reply
    return reply if await may_read_here(call, call.group.room) else replace(reply, alone=True)


async def _flagged(call: Call, event: ReactionGiven) -> Answer | None:
    if not call.here.active or not call.setup.configured.reports.means(event.key):
        return None
    try:
        reply = await flag(call, event.target)
    except Refused as refused:
        reply = _refusal(refused)
    return _answer(call, discreet(call, reply))


def _unknown(call: Call, spoken: Spoken) -> Answer | None:
    prefix = call.setup.prefix
    near = get_close_matches(spoken.name, list(COMMANDS), n=1, cutoff=CLOSE)
    if call.here.purpose == "group" and not near:
        return None
    said = Code(prefix + spoken.name)
    near_one = line("error.did-you-mean", command=said, near=Code(prefix + near[0])) if near else None
    unknown = near_one or line("error.unknown", command=said, help=Code(f"{prefix}help"))
    return _answer(call, Reply((unknown,), refused=True))


async def _group_of_case(call: Call, command: Command, spoken: Spoken) -> RoomView | None:
    """Find the room that the number of a case means, in a direct message or in a desk of several rooms."""
    here = call.here
    several = here.purpose == "direct" or (here.purpose == "desk" and len(here.serves) > 1)
    if not several or spoken.group or command.anywhere or not command.spec.startswith("case"):
        return None
    number = case_number(spoken.words[0]) if spoken.words else None
    case = await queries.case_view(call.db, number) if number is not None else None
    group = await call.setup.knowledge.room(call.db, case.room) if case else None
    if number is not None and (group is None or not await _belongs(call, group)):
        raise Refused("error.case.none", n=number)  # also if it exists, but is not theirs
    if number is not None and group is not None and here.purpose == "desk" and group.room not in here.serves:
        raise Refused("error.case.none", n=number)  # nor if it is theirs, but not of those who read here
    return group


async def _group(call: Call, command: Command, spoken: Spoken) -> RoomView:
    """Return the room a command is about: the one named, the one it is said in, or the only one it can be."""
    db, here, knowledge = call.db, call.here, call.setup.knowledge
    if spoken.group is not None:
        named = await queries.room_by_code(db, spoken.group, call.setup.bot)
        if named is None or named.purpose != "group" or not await _belongs(call, named):
            raise Refused("error.group.unknown", code=spoken.group)
        return named
    if here.purpose == "group":
        return here
    own = here.serves if here.purpose == "desk" else await queries.groups_of(db, call.caller)
    if here.purpose == "desk" and len(own) > 1:
        own = await _meant(call, spoken) or own
    if len(own) != 1 and "everywhere?" in command.spec.split() and EVERYWHERE & set(map(str.lower, spoken.words)):
        own = await _first_of(call, own, spoken) or own
    if len(own) != 1 and command.anywhere:
        return here
    if len(own) != 1:
        raise await which_room(call, spoken.name)
    only = await knowledge.room(db, own[0])
    assert only is not None
    return only


async def _meant(call: Call, spoken: Spoken) -> tuple[RoomId, ...]:
    """Return which rooms of a desk a command can mean: that of the card it is said under, or of the person it names."""
    event = call.event
    for message in (event.thread, event.reply_to) if isinstance(event, MessagePosted) else ():
        n = await _shown_on(call, message) if message else None
        case = await queries.case_view(call.db, n) if n else None
        if case is not None and case.room in call.here.serves:
            return (case.room,)
    return await _where_known(call, call.here.serves, spoken)


async def _shown_on(call: Call, card: EventId) -> int | None:
    """Return the case that a card shows, or the first of those that share it."""
    return await queries.case_by_card(call.db, card) or await queries.burst_by_card(call.db, card)


async def _first_of(call: Call, rooms: Sequence[RoomId], spoken: Spoken) -> tuple[RoomId, ...]:
    """Return the first of these rooms that the caller manages and the person named is known in, if there is one.

    For an operator who is in none of them, all rooms are meant.
    """
    if not rooms and is_operator(call.caller, call.policy):
        rooms = await queries.active_groups(call.db)
    for room in await _where_known(call, rooms, spoken):
        group = await call.setup.knowledge.room(call.db, room)
        if group is not None and await manages(call, group):
            return (room,)
    return ()


async def _where_known(call: Call, rooms: Sequence[RoomId], spoken: Spoken) -> tuple[RoomId, ...]:
    """Return those of these rooms in which the person whom a command names by id is or was; none without an id."""
    named = next((UserId(word.rstrip(":,")) for word in spoken.words if word.startswith("@")), None)
    if named is None:
        return ()
    since = call.now_ms - KNOWN_FOR_MS
    return tuple([room for room in rooms if await queries.is_or_was_in(call.db, room, named, since)])


async def _must_be_shown(call: Call, given: Arguments, spoken: Spoken) -> None:
    """Raise `Refused` if a pill leads to somebody else than it shows, as a copied one may."""
    shown = spoken.pills.get(given.user) if given.user else None
    if given.user is None or shown is None:
        return
    if not shows(shown, given.user, await queries.display_name(call.db, call.group.room, given.user)):
        raise Refused("error.user.pill", shown=shown.strip()[:60], user=Code(given.user))


async def _belongs(call: Call, room: RoomView) -> bool:
    return is_operator(call.caller, call.policy) or room.room in await queries.groups_of(call.db, call.caller)


async def _replied_to(call: Call) -> UserId | None:
    reply_to = call.event.reply_to if isinstance(call.event, MessagePosted) else None
    row = await call.setup.known_event(call.db, reply_to) if reply_to else None
    return UserId(row.sender) if row is not None and row.room == call.here.room else None


def _answer(call: Call, reply: Reply) -> Answer:
    if call.event is None:
        return Answer(reply.facts, reply.actions, reply.lines, refused=reply.refused)
    return Answer(reply.facts, (*answered(call, reply), *reply.actions))


def _refusal(refused: Refused, command: Command | None = None) -> Reply:
    is_wording = command is not None and refused.key.startswith((*WORDING, *command.wording))
    how = command.how() if command is not None and is_wording else ()
    return Reply((refusal_line(refused), *how), refused=True)
