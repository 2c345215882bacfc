"""A homeserver that takes connections and answers nothing: what the bot owes its people holds up nobody else."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from bot.demo.federated_synapse import FederatedSynapse
from moderation.values.ids import RoomId
from tests.long.federation.conftest import Pair, join_through
from tests.people.client import Client, MatrixError
from tests.people.feed import Seen
from tests.theatre.scene import Scene, Theatre, ask
from tests.theatre.served import like, until
from tests.theatre.stage import Stage

BAD = "a purple elephant"


@pytest.fixture
async def theatre(here: Stage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots on the one homeserver."""
    theatre = Theatre(here, tmp_path)
    yield theatre
    await theatre.close()


@contextmanager
def frozen(server: FederatedSynapse) -> Iterator[None]:
    """Stop a homeserver in the middle of its work, and let it go on after the block."""
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server._process.pid, signal.SIGCONT)


async def test_its_people_are_told_later_and_everybody_else_at_once(theatre: Theatre, pair: Pair, there: Stage) -> None:
    owner, manager, near = await theatre.people("owner", "manager", "near")
    bot = await theatre.bot(invites=f'["*:{pair.here.server_name}"]')
    room = await theatre.room(bot, owner, [manager], [near])
    scene = Scene(bot, owner, [manager], [near], room, await theatre.enter_desk(bot, room, owner, manager))
    far = [await there.person("far") for _ in range(4)]
    for person in far:
        await owner.invite(room, person.user)
        await person.wait_invite(room)
        await join_through(person, room, pair.here.server_name)
    await bot.stop()
    said = [await person.send_text(room, BAD) for person in far]
    for event in said:
        await near.wait_event(room, is_event(event), what="what was written there")
    with frozen(pair.there):
        bot.start()
        for event in said:
            await until(partial(near.is_redacted, room, event), "the messages to be removed")
        await ask(near, bot, room, "!rules")
        for n in range(1, len(far) + 1):
            await scene.card(manager, n)
    for person in far:
        query = "SELECT room FROM rooms WHERE purpose = 'direct' AND direct_with = ?"
        ((direct,),) = await bot.until(partial(bot.rows, query, person.user), "a direct room")
        await person.wait_invite(direct)
        await until(partial(is_let_in, person, direct), "the invitation to arrive here, too")
        await until(partial(was_told, person, direct), "the reason of the removal")


async def is_let_in(person: Client, room: RoomId) -> bool:
    try:
        await person.join(room)
    except MatrixError:
        return False
    return True


async def was_told(person: Client, room: RoomId) -> bool:
    said = [str(event["content"].get("body", "")) for event in await person.messages(room)]
    return any(like("notice.violation").search(body) for body in said)


def is_event(event: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.id == event
