"""The system kills the bot, on each database: afterwards everything is done, and once. `tests/long/faults` has more."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.door.bot.test_restart import said_once
from tests.theatre.scene import Theatre
from tests.theatre.served import until
from tests.theatre.state_tables import NotMade


async def test_the_bot_killed_by_the_system_comes_back_and_does_all_of_it_once(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, people = scene.bot, scene.room, scene.members
    await bot.stop()
    program = bot.start_apart()
    said = [await who.send_text(room, "a purple elephant") for who in people]
    await until(happened(lambda: bot.rows("SELECT 1 FROM cases")), "a case")
    program.kill()
    await asyncio.to_thread(program.wait)
    bot.start()
    await bot.has(*said)
    await bot.idle()
    for who, event in zip(people, said, strict=True):
        await said_once(scene, who, event)


def happened(look: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def once() -> object:
        try:
            return look()
        except NotMade:
            return None

    return once
