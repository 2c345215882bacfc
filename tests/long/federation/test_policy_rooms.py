"""A room begins to ask the policy server by chat, on a real homeserver, and stops by itself when nobody answers."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from moderation.model.facts import CaseOpened, MessageWithheld, PolicyServerSet
from moderation.rooms.policy_server import BACK_AFTER_MS, POLICY_STATE
from moderation.values.durations import MS_PER
from tests.long.federation.conftest import Looks, Pair
from tests.long.federation.policy_process import PolicyProcess, proxied
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, until
from tests.theatre.stage import Stage, text

BAD = "a purple elephant"
NUMBER = re.compile(r"!policy on (\d+) (\S+?)`?\s")


@dataclass
class Room:
    """A room that its owner lets ask the policy server."""

    scene: Scene
    process: PolicyProcess

    async def asks(self) -> dict[str, Any]:
        return dict(await self.scene.owner.state(self.scene.room, POLICY_STATE) or {})

    async def until_it_asks(self, name: str) -> None:
        async def so() -> bool:
            return str((await self.asks()).get("via", "")) == name

        await until(so, f"the room to ask {name or 'nobody'}")

    def steps(self) -> list[str]:
        return [fact.step for fact in self.scene.bot.facts(PolicyServerSet)]


@asynccontextmanager
async def chosen(pair: Pair, here: Stage, folder: Path) -> AsyncIterator[Room]:
    """Let an owner switch it on in chat, in a room into which one has to be invited."""
    theatre = Theatre(here, folder)
    async with proxied(pair.authority) as process:
        owner, manager, *members = await theatre.people("owner", "manager", "member", "reader")
        bot = await theatre.bot(RULES + process.settings, invites=f'["*:{pair.here.server_name}"]')
        room = await theatre.room(bot, owner, managers=[manager], members=members)
        at = Room(Scene(bot, owner, [manager], members, room), process)
        process.start(bot, RULES)
        await process.up()
        alone = await open_direct(owner, bot)
        explained = await ask(owner, bot, alone, "!policy on")
        assert process.name in explained and "nobody can write" in explained
        found = NUMBER.search(explained + " ")
        assert found is not None, explained
        await ask(owner, bot, alone, f"!policy on {found[1]}")
        await at.until_it_asks(process.name)
        yield at
        await owner.set_state(room, POLICY_STATE, {})
    await theatre.close()


async def refused(person: Client, room: str, words: str) -> str:
    with pytest.raises(MatrixError) as error:
        await person.send(room, "m.room.message", text(words))
    return error.value.error


async def test_a_message_that_nobody_saw_is_a_case_that_can_be_appealed(
    pair: Pair, here: Stage, tmp_path: Path
) -> None:
    async with chosen(pair, here, tmp_path) as at:
        scene, (member, reader) = at.scene, at.scene.members
        bot = scene.bot
        await refused(member, scene.room, BAD)
        await bot.until(lambda: bot.facts(CaseOpened), "the case")
        (kept,) = bot.facts(MessageWithheld)
        assert (kept.subject, kept.by, BAD in kept.body) == (member.user, "policy_server", True)
        said = await told(member, bot, re.compile("nobody has seen it"))
        assert "!appeal" in said.body
        alone = await direct_room(member, bot)
        assert BAD in await ask(member, bot, alone, "!why")
        await ask(member, bot, alone, "!appeal I quoted a song")
        await scene.managers[0].send_text(scene.room, "!dismiss 1 a song")
        await told(member, bot, re.compile("You can send it again now"))
        last = await member.send(scene.room, "m.room.message", text("so be it"))
        await reader.wait_event(scene.room, lambda seen: seen.id == last, what="the last message")
        assert "elephant" not in str(await reader.messages(scene.room)) + str([seen.body for seen in reader.seen])


async def test_a_room_that_nobody_answers_can_be_written_in_after_a_while_and_asks_again_later(
    pair: Pair, here: Stage, tmp_path: Path, looks: Looks
) -> None:
    async with chosen(pair, here, tmp_path) as at:
        scene, member = at.scene, at.scene.members[0]
        bot, watched = scene.bot, at.process
        await watched.kill()
        assert await refused(member, scene.room, "hello")  # nobody can write
        bot.ahead_ms += 90 * MS_PER["s"]
        await at.until_it_asks("")
        await told(scene.owner, bot, re.compile("Nobody can reach the policy server"))
        await member.send(scene.room, "m.room.message", text("hello again"))
        watched.start(bot, RULES)
        await watched.up()
        await bot.until(lambda: at.steps() == ["on", "down"], "the absence")
        await looks.until_reached()
        bot.ahead_ms += BACK_AFTER_MS
        await bot.until(lambda: at.steps()[-1] == "back", "it to be back")
        await at.until_it_asks(watched.name)
        await told(scene.owner, bot, re.compile("can be reached again"))
        assert await refused(member, scene.room, BAD)


async def test_a_room_that_is_to_ask_no_more_is_left_by_its_user(pair: Pair, here: Stage, tmp_path: Path) -> None:
    async with chosen(pair, here, tmp_path) as at:
        scene = at.scene
        await ask(scene.owner, scene.bot, await direct_room(scene.owner, scene.bot), "!policy off")
        await at.until_it_asks("")

        async def gone() -> bool:
            return (await scene.owner.members(scene.room))[at.process.user] == "leave"

        await until(gone, "the policy server's user to leave")
        await scene.members[0].send(scene.room, "m.room.message", text("hello"))


async def test_a_key_that_a_manager_makes_another_is_put_right(pair: Pair, here: Stage, tmp_path: Path) -> None:
    async with chosen(pair, here, tmp_path) as at:
        scene, right = at.scene, await at.asks()
        wrong = {**right, "public_keys": {"ed25519": "A" * 43}}
        await scene.managers[0].set_state(scene.room, POLICY_STATE, wrong)

        async def so() -> bool:
            return await at.asks() == right

        await until(so, "the key to be put right")
        await told(scene.owner, scene.bot, re.compile("I have set it right"))
        await scene.members[0].send(scene.room, "m.room.message", text("hello"))
        assert await refused(scene.members[0], scene.room, BAD)
