"""A list or a space on a server that never answers: the others are entered and read meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.matrix.errors import Forbidden
from bot.runtime.works import meanwhile
from bot.sync import joins
from bot.sync.spaces import Spaces
from moderation.model.actions.telling import TellDesk
from moderation.values.ids import RoomId
from tests.door.bot.effects.test_choose_list import choosers
from tests.door.chosen_lists import BANS, CREATED, Chooser, ListRooms, entry
from tests.door.offline import OLGA, ROOM, Offline, offline

SILENT = RoomId("!aaa:silent.example")
COTTAGE, ESTATE = RoomId("!cottage:silent.example"), RoomId("!estate:example.org")
SPACES = "[communities]\n" + "".join(
    f'[[communities.named]]\nname = "{name}"\nspace = "{space}"\n' for name, space in (("a", COTTAGE), ("b", ESTATE))
)


@dataclass
class SilentRooms(ListRooms):
    """A homeserver that waits for a silent server until `answers` is set, and then refuses `refusals` times."""

    silent: frozenset[str] = frozenset({SILENT, COTTAGE})
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    refusals: int = 0
    asked: list[str] = field(default_factory=list)  # to be let in by the silent server
    under_way: int = 0

    async def join(self, room: str, via: Sequence[str] = ()) -> RoomId:
        if room in self.silent:
            self.asked.append(room)
            self.under_way += 1
            try:
                await self.answers.wait()
            finally:
                self.under_way -= 1
            if self.refusals:
                self.refusals -= 1
                raise Forbidden("no", status=403)
        return await super().join(room, via)


@asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[tuple[Offline, Chooser, SilentRooms]]:
    """Open a bot that watches two lists and is out of the room of the first, whose server is silent by now."""
    async with choosers(folder) as (bot, chooser, _):
        homeserver = chooser.homeserver
        homeserver.say(entry("@x:y", "1"), room=SILENT)
        await chooser.ask(OLGA, f"!list preview {SILENT}")
        await chooser.ask(OLGA, f"!list watch aaa look {chooser.number} because")
        await chooser.choose(OLGA)
        homeserver.inside.remove(SILENT)
        later = SilentRooms(homeserver.states, inside=homeserver.inside)
        yield bot, Chooser(bot, later), later


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


def entities(bot: Offline) -> set[str]:
    """Return whom the lists that count name."""
    book = bot.pipeline.lists.book
    return set() if book is None else {each.entity for one in book.lists for each in one.entries}


async def troubles(bot: Offline) -> list[str]:
    told = [row.action for row in await bot.waiting()]
    keys = [each.lines[0].key for each in told if isinstance(each, TellDesk) and each.room == ROOM]
    return [key for key in keys if key.startswith("lists.trouble.")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "PATIENCE_S", 0.05)


async def test_a_list_on_a_silent_server_does_not_keep_others_from_counting(tmp_path: Path) -> None:
    async with watching(tmp_path) as (bot, chooser, homeserver):
        homeserver.say(entry("@new:bad.example", "9"))
        await chooser.lists.begin()
        async with meanwhile(chooser.lists.run()):
            await until(lambda: "@new:bad.example" in entities(bot))
            homeserver.say(entry("@newer:bad.example", "9"))
            chooser.lists.look_again()
            await until(lambda: "@newer:bad.example" in entities(bot))
            assert (homeserver.asked, homeserver.under_way) == ([SILENT], 1), "one join at a time"
            assert "@x:y" in entities(bot), "what it said last counts"
        assert homeserver.under_way == 0, "nothing is left behind"


async def test_a_list_whose_server_answers_late_is_read_at_once(tmp_path: Path) -> None:
    async with watching(tmp_path) as (bot, chooser, homeserver):
        homeserver.say(entry("@late:bad.example", "1"), room=SILENT)
        async with meanwhile(chooser.lists.run()):
            await until(lambda: homeserver.asked == [SILENT])
            homeserver.answers.set()
            await until(lambda: "@late:bad.example" in entities(bot))
        assert (homeserver.asked, await troubles(bot)) == ([SILENT], [])


async def test_a_list_whose_server_refuses_late_is_told_to_the_desk(tmp_path: Path) -> None:
    async with watching(tmp_path) as (bot, chooser, homeserver):
        homeserver.refusals = 1
        await chooser.lists.begin()
        chooser.lists.look_again()
        assert not await chooser.lists.look(), "it is looked at again soon"
        assert await troubles(bot) == []
        homeserver.answers.set()
        await until(lambda: homeserver.under_way == 0)
        assert await chooser.lists.look()
        assert await troubles(bot) == ["lists.trouble.chosen-unreadable"]


async def test_a_refusal_from_before_an_invitation_does_not_count(tmp_path: Path) -> None:
    async with watching(tmp_path) as (bot, chooser, homeserver):
        homeserver.refusals = 1
        homeserver.say(entry("@new:bad.example", "9"))
        async with meanwhile(chooser.lists.run()):
            await until(lambda: "@new:bad.example" in entities(bot))  # the first look waits no longer
            assert chooser.lists.invited(SILENT)
            homeserver.answers.set()
            await until(lambda: SILENT in homeserver.inside)
        assert homeserver.asked == [SILENT, SILENT]
        assert await troubles(bot) == []


async def test_the_room_of_a_list_that_ended_meanwhile_is_left_again(tmp_path: Path) -> None:
    async with watching(tmp_path) as (_, chooser, homeserver):
        await chooser.lists.begin()
        await chooser.lists.look()
        assert "policy-list.ended" in await chooser.ask(OLGA, "!list end aaa because")
        homeserver.answers.set()
        await until(lambda: SILENT in homeserver.inside)
        await chooser.lists.look()
        assert homeserver.inside == [BANS]


async def test_a_list_of_the_configuration_is_entered_by_its_alias_once_its_server_answers(tmp_path: Path) -> None:
    alias = "#aaa:silent.example"
    lists = "[lists]\n" + "".join(
        f'[[lists.watch]]\nname = "{name}"\nroom = "{room}"\ntrust = "look"\n'
        for name, room in (("first", alias), ("second", BANS))
    )
    async with offline(tmp_path, lists) as bot:
        homeserver = _Aliases(silent=frozenset({alias}))
        homeserver.say(entry("@new:bad.example", "1"))
        homeserver.say(entry("@late:bad.example", "1"), room=SILENT)
        chooser = Chooser(bot, homeserver)
        async with meanwhile(chooser.lists.run()):
            await until(lambda: entities(bot) == {"@new:bad.example"})
            homeserver.answers.set()
            await until(lambda: entities(bot) == {"@new:bad.example", "@late:bad.example"})
        assert homeserver.asked == [alias]


class _Aliases(SilentRooms):
    async def join(self, room: str, via: Sequence[str] = ()) -> RoomId:
        if room in self.silent:
            self.asked.append(room)
            await self.answers.wait()
            return await super().join(SILENT, via)
        return await super().join(room, via)


async def test_a_space_on_a_silent_server_does_not_keep_others_from_being_read(tmp_path: Path) -> None:
    async with offline(tmp_path, SPACES) as bot:
        space = {**CREATED, "content": {"type": "m.space"}}
        homeserver = SilentRooms({COTTAGE: [space], ESTATE: [space]})
        spaces = Spaces(bot.services(homeserver))

        def followed() -> set[str]:
            return {room for (room,) in bot.state.rows("SELECT room FROM rooms WHERE condition = 'followed'")}

        async with meanwhile(spaces.run()):
            await until(lambda: followed() == {ESTATE})
            assert homeserver.asked == [COTTAGE]
            homeserver.answers.set()
            await until(lambda: followed() == {COTTAGE, ESTATE})
        assert (homeserver.asked, homeserver.under_way) == ([COTTAGE], 0)
