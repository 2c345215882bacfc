"""Choosing policy lists in chat, for tests: a homeserver with the rooms of lists, and the bot's answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.effects.choose_list import ListChooser
from bot.matrix.errors import Forbidden, NotFound, TooLarge, Unreachable
from bot.outbox.handler import Done, RetryLater
from bot.sync.policy_lists import PolicyLists
from moderation.lists.book import Book
from moderation.model.actions.lists import ChooseList, PreviewList
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import ActionTaken
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line
from tests.door.offline import BOT, DESK, Offline

BANS, ALIAS = RoomId("!bans:lists.example"), "#bans:lists.example"
WRITER = UserId("@mod:lists.example")


def entry(entity: str, key: str, *, kind: str = "user", **more: Any) -> dict[str, Any]:
    """Return an entry of a list that recommends to ban somebody."""
    content = {"entity": entity, "recommendation": "m.ban", "reason": "spam", **more}
    return {
        "type": f"m.policy.rule.{kind}",
        "state_key": key,
        "sender": str(WRITER),
        "event_id": f"$entry-{key}-{entity}",
        "origin_server_ts": 1,
        "content": content,
    }


CREATED = {
    "type": "m.room.create",
    "state_key": "",
    "sender": str(WRITER),
    "event_id": "$create",
    "content": {"type": "support.feline.policy.lists.msc.v1"},
}
ORDINARY = {**CREATED, "content": {}}


@dataclass
class ListRooms:
    """A homeserver of which only rooms of lists are asked."""

    states: dict[RoomId, list[dict[str, Any]]] = field(default_factory=lambda: {BANS: [CREATED]})
    aliases: dict[str, RoomId] = field(default_factory=lambda: {ALIAS: BANS})
    readable: set[RoomId] = field(default_factory=set)  # from outside
    closed: set[RoomId] = field(default_factory=set)
    huge: set[RoomId] = field(default_factory=set)
    away: bool = False
    inside: list[RoomId] = field(default_factory=list)
    entered: list[RoomId] = field(default_factory=list)  # ever
    user: UserId = BOT

    async def resolve(self, alias: str) -> tuple[RoomId, tuple[str, ...]]:
        self._must_answer()
        if alias not in self.aliases:
            raise NotFound("no such alias", status=404)
        return self.aliases[alias], ("lists.example",)

    async def joined_rooms(self) -> list[RoomId]:
        return list(self.inside)

    async def join(self, room: str, _via: Sequence[str] = ()) -> RoomId:
        self._must_answer()
        found = RoomId(room)
        if found in self.closed or found not in self.states:
            raise Forbidden("no", status=403)
        self.inside.append(found)
        self.entered.append(found)
        return found

    async def leave(self, room: RoomId) -> None:
        self._must_answer()
        if room not in self.inside:
            raise Forbidden("not there", status=403)
        self.inside.remove(room)

    async def state(self, room: RoomId, *, at_most: int | None = None) -> list[dict[str, Any]]:
        if room not in self.inside and room not in self.readable:
            raise Forbidden("not there", status=403)
        if room in self.huge and at_most is not None:
            raise TooLarge("too large", status=200)
        return self.states[room]

    def say(self, *entries: dict[str, Any], room: RoomId = BANS) -> None:
        """Let a list say this, and nothing else."""
        self.states[room] = [CREATED, *entries]

    def _must_answer(self) -> None:
        if self.away:
            raise Unreachable("away")


class Chooser:
    """The bot as far as it chooses lists: what people ask is done at once, as the dispatcher would do it."""

    def __init__(self, bot: Offline, homeserver: ListRooms) -> None:
        self.bot = bot
        self.homeserver = homeserver
        services = bot.services(homeserver)
        self.lists = PolicyLists(services)
        self.handler = ListChooser(services, self.lists)
        self.number = -1  # of the request that was done last

    async def ask(self, who: UserId, words: str, room: RoomId = DESK) -> dict[str, dict[str, Any]]:
        """Say something, and return the lines of all that the bot says then, by key."""
        before = {row.txn for row in await self.bot.waiting()}
        await self.bot.say(who, words, room)
        await self.act()
        fresh = [row.action for row in await self.bot.waiting() if row.txn not in before]
        said: list[Line] = [each for action in fresh if isinstance(action, Say | Tell) for each in action.lines]
        return {each.key: dict(each.fields) for each in said}

    async def act(self) -> None:
        """Do what waits, and go by what was chosen."""
        for row in await self.bot.waiting():
            if isinstance(row.action, PreviewList | ChooseList):
                self.number = row.action.number
                await self._do(row.action, row.txn)
        await self.lists.look()

    async def _do(self, action: PreviewList | ChooseList, txn: str) -> None:
        handler: Any = self.handler.handles[type(action)]
        try:
            done: Done = await handler(action, txn)
        except RetryLater as later:
            done = later.given_up
        taken = ActionTaken(room=action.room, action=action.NAME, result="done", txn=txn, subject=action.subject)
        await self.bot.pipeline.commit((*done.facts, taken), actions=done.actions, of_row=txn)

    async def choose(self, who: UserId, name: str = "cme", trust: str = "propose") -> dict[str, dict[str, Any]]:
        """Look at the list, and choose it."""
        await self.ask(who, f"!list preview {BANS}")
        return await self.ask(who, f"!list watch {name} {trust} {self.number} because")

    @property
    def book(self) -> Book:
        """The lists that count now."""
        book = self.bot.pipeline.lists.book
        assert book is not None
        return book
