"""A real homeserver asks the policy server's process about a room that the bot protects."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from moderation.values.ids import RoomId
from storage.database import FILE
from tests.federation.conftest import Pair
from tests.federation.policy_process import PolicyProcess, proxied
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Scene, Theatre
from tests.theatre.served import RULES, until
from tests.theatre.stage import Stage, text

REFUSED = "Not delivered, nobody has seen it. No purple elephants A message about this follows."


@dataclass
class Asking:
    """A protected room whose homeserver asks."""

    scene: Scene
    process: PolicyProcess
    rules: str

    @property
    def room(self) -> RoomId:
        return self.scene.room

    @property
    def member(self) -> Client:
        return self.scene.members[0]

    async def restarted(self) -> None:
        self.process.start(self.scene.bot, self.rules)
        await self.process.up()

    async def refused(self, words: str, who: Client | None = None) -> str:
        """Send what is to be refused; return what the sender's client shows."""
        with pytest.raises(MatrixError) as error:
            await (who or self.member).send(self.room, "m.room.message", text(words))
        assert (error.value.status, error.value.errcode) == (400, "M_FORBIDDEN")
        return error.value.error


@asynccontextmanager
async def asking(pair: Pair, here: Stage, folder: Path, *, version: str | None = None) -> AsyncIterator[Asking]:
    theatre = Theatre(here, folder)
    async with proxied(pair.authority) as process:
        rules = RULES
        bot = await theatre.bot(rules + process.settings, invites=f'["*:{pair.here.server_name}"]')
        owner, member = await theatre.people("owner", "member")
        room = await theatre.room(bot, owner, members=[member], version=version)
        scene = Scene(bot, owner, [], [member], room)
        await owner.set_state(room, "m.room.join_rules", {"join_rule": "public"})
        process.start(scene.bot, rules)
        await process.up()
        await ask_for_it(scene)
        await until_joined(scene, process)
        await scene.owner.set_state(scene.room, "m.room.policy", process.room_state(scene.bot))
        yield Asking(scene, process, rules)
        await scene.owner.set_state(scene.room, "m.room.policy", {})
    await theatre.close()


async def ask_for_it(scene: Scene) -> None:
    """Let the owner wish that the policy server is asked."""
    with closing(sqlite3.connect(scene.bot.data_dir / FILE)) as tables:
        sql = "INSERT INTO policy_rooms (room, since, down, record, by) VALUES (?, 1, 0, 0, ?)"
        tables.execute(sql, (scene.room, scene.owner.user))
        tables.commit()


async def until_joined(scene: Scene, process: PolicyProcess) -> None:
    async def joined() -> bool:
        return (await scene.owner.members(scene.room)).get(process.user) == "join"

    await until(joined, "the policy server in the room")


@pytest.mark.parametrize("version", ("10", "12"))
async def test_a_bad_message_is_refused_in_our_words_and_a_good_one_delivered(
    pair: Pair, here: Stage, tmp_path: Path, version: str
) -> None:
    async with asking(pair, here, tmp_path, version=version) as asked:
        good = await asked.member.send(asked.room, "m.room.message", text("hello"))
        assert await asked.refused("a purple elephant") == REFUSED
        seen = await asked.scene.owner.wait_event(asked.room, lambda seen: seen.id == good, what="the good one")
        assert seen.body == "hello"
