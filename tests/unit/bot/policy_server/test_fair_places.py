"""Servers that wait for a place get it in turn, however much one of them asks."""

import asyncio

from bot.policy_server.fair_places import FairPlaces


async def test_a_server_that_asks_much_delays_its_own_questions() -> None:
    places, came = FairPlaces(1), list[str]()

    async def take(server: str) -> None:
        async with places.place(server):
            came.append(server)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(server) for server in ["loud"] * 5 + ["calm", "shy"]))
    assert came == ["loud", "loud", "calm", "shy", "loud", "loud", "loud"]


async def test_somebody_who_stops_waiting_keeps_no_place() -> None:
    places, ends = FairPlaces(1), asyncio.Event()

    async def hold() -> None:
        async with places.place("a"):
            await ends.wait()

    async def take() -> bool:
        async with places.place("b"):
            return True

    holder = asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    first, second, third = (asyncio.ensure_future(take()) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    ends.set()
    await holder  # the turn of `second` has come now
    second.cancel()
    assert await third
    assert await take()
