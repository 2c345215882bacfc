"""Ann and Ben, each with a device that knows the other's."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.crypto.outbound import Recipients
from tests.postgres.engines import Engine
from tests.unit.bot.crypto.pair import Side

Make = Callable[..., Awaitable[Side]]


@pytest.fixture
async def make(engine: Engine, tmp_path: Path) -> AsyncIterator[Make]:
    """Provide a function that makes devices; close their stores at the end."""
    made: list[Side] = []

    async def side(user: str, device: str = "", recipients: Recipients = Recipients.ALL) -> Side:
        made.append(await Side.open(engine, tmp_path, user, device or f"{user[1:4].upper()}PHONE", recipients))
        return made[-1]

    yield side
    for each in made:
        await each.store.close()


@pytest.fixture
async def ann(make: Make) -> Side:
    """Provide Ann's device."""
    return await make("@ann:x")


@pytest.fixture
async def ben(make: Make, ann: Side) -> Side:
    """Provide Ben's device. He and Ann know each other's devices, and Ann has a session with his."""
    ben = await make("@ben:x")
    await ann.learn(ben)
    await ben.learn(ann)
    await ann.begin(ben)
    return ben
