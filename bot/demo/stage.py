"""The parts that the steps of the story share: homeserver, bot, people, rooms, and the waiting for the bot.

Rules kept here:
- What the bot did is looked at through other people's clients, never in the bot's own database.
- Its words are recognised by what does not depend on a language (who is named, numbers, what they answer).
- `moment` is called wherever a test may want to disturb the bot.

Left to others: what happens in which order (`steps.py`).
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from nio import Event, RoomMessageFormatted

from moderation.values.ids import EventId, RoomId

from .authority import TlsAuthority
from .bot_process import BotProcess, PolicyServerOfDemo
from .federated_synapse import FederatedSynapse
from .person import DemoPerson
from .synapse import free_port
from .tls_front import TlsFront

PASSWORD = "answerable"  # noqa: S105 - everybody's, on a homeserver that only this machine can reach
BOT = "answerable"  # its localpart
MANAGER, MEMBER = 50, 0
NAMES = ("anna", "ben", "carla", "dora", "emil", "finn")
MUTE_S = 4

# Times as notices write them; the numbers in them are no amounts.
WHEN = re.compile(r"(?:\d{1,2} \w{3}(?: \d{4})?, |(?:\d{4}年)?\d{1,2}月\d{1,2}日 )\d{2}:\d{2} UTC")
LEFT = re.compile(r"\d+ (?:min|h|days|分钟|小时|天)(?!\w)")
MARKS = str.maketrans("", "", "«»")  # around what a rule found

Moment = Callable[[str], Awaitable[None]]
_NOWHERE, _NOTHING = RoomId(""), EventId("")


class NotAsTold(AssertionError):
    """Something differs from the story; the message says what was seen."""


def expect(holds: bool, seen: object) -> None:
    """Raise `NotAsTold` with what was seen instead, unless it holds."""
    if not holds:
        raise NotAsTold(str(seen))


@dataclass(frozen=True, slots=True)
class DemoPeople:
    """The cast: Anna owns the room, Ben and Carla manage it, the others are members."""

    anna: DemoPerson
    ben: DemoPerson
    carla: DemoPerson
    dora: DemoPerson
    emil: DemoPerson
    finn: DemoPerson


async def _no_moment(_name: str) -> None:
    """Disturb nothing."""


@dataclass(slots=True)
class DemoStage:
    """Filled by the steps as they go. Closing it ends all that was started."""

    folder: Path  # of the homeserver
    bot: BotProcess
    moment: Moment = _no_moment
    homeserver: FederatedSynapse | None = None
    mute_s: int = MUTE_S
    cast: DemoPeople | None = None
    room: RoomId = _NOWHERE
    desk: RoomId = _NOWHERE
    before: EventId = _NOTHING  # a message sent before the bot told what it records
    cards: dict[str, EventId] = field(default_factory=dict)  # text of a message -> the card about it
    _directs: dict[str, RoomId] = field(default_factory=dict)
    _authority: TlsAuthority | None = None
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def close(self) -> None:
        """End everything that was started here."""
        await self.bot.stop()
        await self._opened.aclose()

    async def start_homeserver(self) -> FederatedSynapse:
        """Return the homeserver, and start it the first time."""
        if self.homeserver is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._authority = TlsAuthority(self.folder)
            self.homeserver = await FederatedSynapse.start_federated(self.folder / "synapse", self._authority)
            self._opened.push_async_callback(self.homeserver.stop)
        return self.homeserver

    async def policy_server(self) -> PolicyServerOfDemo:
        """Return how the homeserver reaches a policy server of ours: by a name of its own, over TLS."""
        await self.start_homeserver()
        assert self._authority is not None
        port = free_port()
        front = await self._opened.enter_async_context(TlsFront(self._authority, port))
        return PolicyServerOfDemo(front.name, f"127.0.0.1:{port}", self._authority.file)

    def id_of(self, name: str) -> str:
        """Return the id of somebody on the homeserver."""
        assert self.homeserver is not None, "this step needs the step that starts the homeserver"
        return f"@{name}:{self.homeserver.server_name}"

    async def enter(self, name: str) -> DemoPerson:
        """Make an account on the homeserver, and have its person log in with a client of their own."""
        synapse = await self.start_homeserver()
        account = await synapse.register(name, PASSWORD)
        person = await DemoPerson.log_in(synapse.url, account.user, PASSWORD)
        self._opened.push_async_callback(person.close)
        return person

    @property
    def people(self) -> DemoPeople:
        """The cast, once it is there."""
        assert self.cast is not None, "this step needs the step that brings the people"
        return self.cast

    # What the bot says, as others see it.

    async def hears(self, who: DemoPerson, room: str, wanted: Callable[[Event], bool], *, what: str) -> Event:
        """Return the first message of the bot in the room that is `wanted`; edits do not count."""
        return await who.wait_event(
            room, lambda event: _is_said(event) and not _replaces(event) and wanted(event), what=what
        )

    async def answer(self, who: DemoPerson, room: str, event: str, *, thread: str = "") -> Event:
        """Return what the bot answers to an event, or says in the thread about it."""
        wanted = {event, thread or event}
        return await self.hears(who, room, lambda said: _answers(said) in wanted, what="an answer of the bot")

    async def direct(self, who: DemoPerson) -> RoomId:
        """Return the room in which the bot speaks with `who` alone; the first time accept its invitation."""
        if who.user not in self._directs:
            room = await who.wait_invite(
                lambda invite: is_bot(invite.sender) and invite.content.get("is_direct") is True,
                what="an invitation by the bot",
            )
            await who.join(room)
            self._directs[who.user] = room
        return self._directs[who.user]

    async def told(self, who: DemoPerson, *words: str | int) -> Event:
        """Return the bot's direct message to `who` that holds all `words`; a number must stand there as an amount."""
        room = await self.direct(who)
        return await who.wait_event(
            room,
            lambda event: _is_said(event) and mentions(event.body, *words),
            what=f"a direct message with {words}",
        )

    async def credit_of(self, who: DemoPerson) -> str:
        """Return the bot's answer to `!credit` in the direct room."""
        room = await self.direct(who)
        answer = await self.answer(who, room, await who.send_text(room, "!credit"))
        return str(answer.body)

    async def card(self, who: DemoPerson, words: str) -> Event:
        """Return the card in the desk about a message with these words."""
        card = await self.hears(
            who,
            self.desk,
            lambda said: words in said.body.translate(MARKS) and _answers(said) == "",
            what=f"a card with {words!r}",
        )
        self.cards[words] = EventId(card.event_id)
        return card

    async def card_becomes(self, who: DemoPerson, words: str, named: DemoPerson) -> Event:
        """Return the edit of the card that names who decided."""
        return await who.wait_event(
            self.desk,
            lambda event: _is_said(event) and _replaces(event) == self.cards[words] and named.user in event.body,
            what="the card edited",
        )

    async def level(self, user: str) -> int:
        """Return a person's power level in the room, as the homeserver has it."""
        levels = await self.people.anna.state(self.room, "m.room.power_levels")
        return int(levels.get("users", {}).get(user, levels.get("users_default", 0)))


def is_bot(user: str) -> bool:
    """Tell whether an id is that of the bot, on whichever homeserver the story is played."""
    return user.startswith(f"@{BOT}:")


def mentions(body: str, *words: str | int) -> bool:
    """Tell whether all words are there. Dates, times and spans are left out, as their numbers are no amounts."""
    amounts = set(re.findall(r"\d+", LEFT.sub("", WHEN.sub("", body))))
    return all(str(word) in amounts if isinstance(word, int) else word in body for word in words)


def number_of(seen: Event, command: str = "(?:uphold|dismiss)") -> int:
    """Return the number of the case behind a command that a message offers."""
    return int(found(rf"!{command} (\d+)", seen.body)[1])


def found(pattern: str | re.Pattern[str], body: str) -> re.Match[str]:
    """Return where a pattern matches. Raises `NotAsTold` with the body if it does not."""
    match = re.search(pattern, body)
    expect(match is not None, body)
    assert match is not None
    return match


def _is_said(event: Event) -> bool:
    return isinstance(event, RoomMessageFormatted) and is_bot(event.sender)


def _relation(event: Event) -> dict[str, object]:
    relation = event.source["content"].get("m.relates_to")
    return relation if isinstance(relation, dict) else {}


def _replaces(event: Event) -> str:
    relation = _relation(event)
    return str(relation.get("event_id", "")) if relation.get("rel_type") == "m.replace" else ""


def _answers(event: Event) -> str:
    reply = _relation(event).get("m.in_reply_to")
    return str(reply.get("event_id", "")) if isinstance(reply, dict) else ""
