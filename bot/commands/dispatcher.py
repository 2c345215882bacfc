"""The dispatcher of commands and reactions: finds out what is asked, for which room, and whether it is allowed.

Rules kept here:
- The caller's rights are those in the room concerned, wherever the command is said.
- A refusal is an answer that names what was wrong and the next step. It changes nothing.
- In a group, what is not one of our commands is left alone, since other bots listen there too.

The command itself stands in the journal like any message.
"""

from difflib import get_close_matches

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.identity.asking import Asking
from bot.identity.redacted_input import NAME, Hush
from bot.pipeline.unit_of_work import Answer
from bot.pipeline.view_cache import ViewCache
from bot.runtime.budget import Budget
from bot.texts.case_words import SaidAt
from bot.texts.refusal import refusal_line
from moderation.consequences import OFFERED
from moderation.duty.responsibility import is_operator, not_a_manager
from moderation.judge.judge import CompiledRule
from moderation.judge.room_rules import with_own
from moderation.model.context import RoomView
from moderation.model.facts import ContentRead
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.events import MessagePosted, ReactionGiven, Received
from moderation.values.ids import GroupCode, UserId
from moderation.values.notices import Code, Line, Moment, line
from storage import queries

from .cases import pressed
from .invocation import Call, Command, Deployment, Reply, Words, answered, discreet
from .parse import MAX_REASON, WORDING, Arguments, Spoken, bind, case_number, is_command, read, shows
from .registry import COMMANDS
from .report import flag
from .rights import manages

MOST_ASKED = 60  # commands of one person in an hour
MOST_ORDERED = 600  # of a person who manages the room, or of an operator
MOST_EXPORTS = 5  # of one person in a day
CLOSE = 0.7  # similarity to one of ours at which a mistyped command is answered in a group


class Commands:
    """The `Responder` of the pipeline."""

    def __init__(
        self,
        knowledge: ViewCache,
        policy: Policy,
        bot: UserId,
        prefix: str,
        words: Words,
        said_at: SaidAt,
        zone: str,
        verification: Asking | None = None,
        rules: tuple[CompiledRule, ...] = (),
        deployment: Deployment = Deployment(),  # noqa: B008 - frozen
    ) -> None:
        self._knowledge = knowledge
        self._policy = policy
        self._bot = bot
        self._prefix = prefix
        self._words = words
        self._said_at = said_at
        self._zone = zone
        self._verification = verification
        self._rules = rules
        self._deployment = deployment
        self._asked = Budget(MOST_ASKED)
        self._exports = Budget(MOST_EXPORTS, DAY_MS)
        self._hush = verification.hush if verification is not None else Hush(prefix)

    def asks(self, event: MessagePosted | ReactionGiven) -> bool:
        """Tell whether the event may ask something of the bot."""
        if isinstance(event, ReactionGiven):  # most reactions ask nothing
            return event.key.replace("\ufe0f", "") in OFFERED or self._policy.reports.means(event.key)
        if is_command(event.body, self._prefix):
            return True
        return not event.asks_to_verify and self._hush.asks(event)

    async def begin(self, db: AsyncConnection) -> None:
        """Read what must be known before the first message."""
        await self._hush.begin(db)

    def hushed(self, event: Received) -> bool:
        """Tell whether the words of this event, said in a direct room, must not be recorded."""
        return self._hush.covers(event) or self._is_unrecorded(event)

    def _is_unrecorded(self, event: Received) -> bool:
        spoken = read(event, self._prefix) if isinstance(event, MessagePosted) else None
        command = COMMANDS.get(spoken.name) if spoken is not None else None
        return command is not None and not command.recorded

    def without_token(self, event: Received) -> MessagePosted | None:
        """Return the event without its code or address, if that is all it holds and was said before others."""
        return self._hush.without_token(event)

    async def respond(
        self, db: AsyncConnection, event: MessagePosted | ReactionGiven, room: RoomView, on: int
    ) -> Answer | None:
        """Return the answer, or None if nothing was asked."""
        if isinstance(event, ReactionGiven):
            return await self._reaction(db, event, room, on)
        spoken = self._verifying(event, room) or read(event, self._prefix)
        if spoken is None:
            return None
        command = COMMANDS.get(spoken.name)
        if (spent := await self._spent(db, command, event, room, on)) is not None:
            return spent
        if command is None:
            return self._unknown(spoken, event, room, on, db)
        return await self._command(db, command, spoken, event, room, on)

    async def _spent(
        self, db: AsyncConnection, command: Command | None, event: MessagePosted, room: RoomView, on: int
    ) -> Answer | None:
        """Return the answer to a person who has asked too often; None if they have not.

        The answer is empty once they were told.
        """
        who, now = event.sender, event.received_ms
        if command is None and room.purpose == "group":  # mostly what other bots are asked
            return None
        budget = self._exports if command is not None and command.exports else self._asked
        more = budget is self._asked and budget.is_spent(who, now) and await self._orders(db, who, room)
        granted = budget.take(who, now, MOST_ORDERED if more else 0)
        if granted == "granted":
            return None
        if granted == "told":
            return Answer()
        call = self._call(db, event, room, room, Arguments(), on)
        return self._answer(call, Reply((line("error.too-often", until=Moment(budget.free_at(who))),), private=True))

    async def _orders(self, db: AsyncConnection, user: UserId, room: RoomView) -> bool:
        group = await self._knowledge.room(db, room.served) if room.served is not None else room
        return is_operator(user, self._policy) or (group is not None and await manages(db, user, group, self._policy))

    def _verifying(self, event: MessagePosted, room: RoomView) -> Spoken | None:
        words = self._hush.words(event, direct=room.purpose == "direct")
        return Spoken(NAME, tuple(words.split()), too_long=len(words) > MAX_REASON) if words is not None else None

    async def _command(
        self, db: AsyncConnection, command: Command, spoken: Spoken, event: MessagePosted, room: RoomView, on: int
    ) -> Answer:
        call = self._call(db, event, room, room, Arguments(), on)
        try:
            group = await self._group_of_case(db, command, spoken, room, event.sender)
            if group is None:
                group = await self._group(db, spoken.group, event.sender, room, anywhere=command.anywhere)
            call = self._call(db, event, room, group, Arguments(), on)
            if spoken.too_long:
                raise Refused("error.too-long")
            if command.who == "manager" and not command.anywhere:  # else the command finds their groups itself
                await self._must_manage(db, event.sender, group)
            elif command.inside and not await self._inside(db, event.sender, group):
                raise Refused("error.group.outside", room=group.room)
            replied_to = await self._replied_to(db, event)
            given = bind(command.spec, spoken.words, replied_to=replied_to)
            await self._must_be_shown(db, given, spoken, group)
            call = self._call(db, event, room, group, given, on)
            reply = await command.run(call)
        except Refused as refused:
            reply = Reply(self._refusal(refused, command))
        return self._answer(call, discreet(call, reply) if command.discreet else reply)

    async def _reaction(self, db: AsyncConnection, event: ReactionGiven, room: RoomView, on: int) -> Answer | None:
        """Act on a reaction: under a card it decides, under a message in a group it may report the message."""
        if room.purpose == "group":
            return await self._flagged(db, event, room, on)
        n = await queries.case_by_card(db, event.target) if room.purpose == "desk" else None
        case = await queries.case_view(db, n) if n else None
        group = await self._knowledge.room(db, case.room) if case else None
        if n is None or group is None or group.room != room.served:
            return None
        call = self._call(db, event, room, group, Arguments(case=n), on)
        try:
            if event.key.replace("\ufe0f", "") in OFFERED:
                await self._must_manage(db, event.sender, group)
            reply = await pressed(call, n, event.key)
        except Refused as refused:
            reply = Reply(self._refusal(refused, None))
        if reply is None:
            return None
        if any(not isinstance(fact, ContentRead) for fact in reply.facts):  # the card itself will show it
            return Answer(reply.facts, reply.actions)
        return self._answer(call, reply)

    async def _flagged(self, db: AsyncConnection, event: ReactionGiven, room: RoomView, on: int) -> Answer | None:
        if not room.active or not self._policy.reports.means(event.key):
            return None
        call = self._call(db, event, room, room, Arguments(), on)
        try:
            reply = await flag(call, event.target)
        except Refused as refused:
            reply = Reply(self._refusal(refused, None))
        return self._answer(call, discreet(call, reply))

    def _unknown(
        self, spoken: Spoken, event: MessagePosted, room: RoomView, on: int, db: AsyncConnection
    ) -> Answer | None:
        near = get_close_matches(spoken.name, list(COMMANDS), n=1, cutoff=CLOSE)
        if room.purpose == "group" and not near:
            return None
        call = self._call(db, event, room, room, Arguments(), on)
        said = Code(self._prefix + spoken.name)
        if near:
            return self._answer(
                call, Reply((line("error.did-you-mean", command=said, near=Code(self._prefix + near[0])),))
            )
        return self._answer(call, Reply((line("error.unknown", command=said, help=Code(f"{self._prefix}help")),)))

    async def _group_of_case(
        self, db: AsyncConnection, command: Command, spoken: Spoken, here: RoomView, caller: UserId
    ) -> RoomView | None:
        """Find the room that the number of a case means in a direct message."""
        if here.purpose != "direct" or spoken.group or command.anywhere or not command.spec.startswith("case"):
            return None
        number = case_number(spoken.words[0]) if spoken.words else None
        case = await queries.case_view(db, number) if number is not None else None
        group = await self._knowledge.room(db, case.room) if case else None
        if number is not None and (group is None or not await self._belongs(db, caller, group)):
            raise Refused("error.case.none", n=number)  # also if it exists, but is not theirs
        return group

    async def _group(
        self, db: AsyncConnection, code: GroupCode | None, caller: UserId, here: RoomView, *, anywhere: bool
    ) -> RoomView:
        """Return the room a command is about: the one named, the one it is said in, or the only one it can be."""
        if code is not None:
            named = await queries.room_by_code(db, code, self._bot)
            if named is None or named.purpose != "group" or not await self._belongs(db, caller, named):
                raise Refused("error.group.unknown", code=code)
            return named
        if here.purpose == "group":
            return here
        if here.purpose == "desk" and here.served is not None:
            served = await self._knowledge.room(db, here.served)
            if served is not None:
                return served
        own = await queries.groups_of(db, caller)
        if len(own) != 1 and anywhere:
            return here
        if len(own) != 1:
            key = "error.group.which" if own else "error.group.none"
            names = await queries.room_names(db, own[:20])
            raise Refused(key, rooms="; ".join(names.get(room, room) for room in own[:20]))
        only = await self._knowledge.room(db, own[0])
        assert only is not None
        return only

    async def _must_be_shown(self, db: AsyncConnection, given: Arguments, spoken: Spoken, group: RoomView) -> None:
        """Raise `Refused` if a pill leads to somebody else than it shows, as a copied one may."""
        shown = spoken.pills.get(given.user) if given.user else None
        if given.user is None or shown is None:
            return
        if not shows(shown, given.user, await queries.display_name(db, group.room, given.user)):
            raise Refused("error.user.pill", shown=shown.strip()[:60], user=Code(given.user))

    async def _must_manage(self, db: AsyncConnection, caller: UserId, group: RoomView) -> None:
        if not await manages(db, caller, group, self._policy):
            raise not_a_manager(caller, group)

    async def _inside(self, db: AsyncConnection, caller: UserId, group: RoomView) -> bool:
        here = (await queries.memberships_of(db, caller)).get(group.room) == "join"
        return here or is_operator(caller, self._policy)

    async def _belongs(self, db: AsyncConnection, caller: UserId, room: RoomView) -> bool:
        return is_operator(caller, self._policy) or room.room in await queries.groups_of(db, caller)

    async def _replied_to(self, db: AsyncConnection, event: MessagePosted) -> UserId | None:
        row = await queries.event_row(db, event.reply_to) if event.reply_to else None
        return UserId(row.sender) if row is not None and row.room == event.room else None

    def _call(
        self,
        db: AsyncConnection,
        event: MessagePosted | ReactionGiven,
        here: RoomView,
        group: RoomView,
        given: Arguments,
        on: int,
    ) -> Call:
        return Call(
            db=db,
            event=event,
            here=here,
            group=group,
            given=given,
            on=on,
            policy=with_own(self._policy, group.rules),
            knowledge=self._knowledge,
            prefix=self._prefix,
            bot=self._bot,
            words=self._words,
            said_at=self._said_at,
            zone=self._zone,
            verification=self._verification,
            configured=self._policy,
            deployment=self._deployment,
            rules=self._rules,
            commands=COMMANDS,
        )

    def _answer(self, call: Call, reply: Reply) -> Answer:
        return Answer(reply.facts, (*answered(call, reply), *reply.actions))

    def _refusal(self, refused: Refused, command: Command | None) -> tuple[Line, ...]:
        first = refusal_line(refused)
        if command is None or not refused.key.startswith((*WORDING, *command.wording)):
            return (first,)
        return (first, *command.how())
