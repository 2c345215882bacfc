"""Joins that silent servers hold up: a bounded number at once, and a bounded wait for all of them together."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from bot.matrix.errors import Unreachable
from bot.sync import joins
from bot.sync.joins import AT_ONCE, Joins
from moderation.values.ids import RoomId

ROOMS = [f"!room{number}:silent.example" for number in range(AT_ONCE + 1)]


class Silent:
    """A homeserver whose joins wait until `answers` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()

    async def join(self, room: str, _via: Sequence[str]) -> RoomId:
        self.asked.append(room)
        await self.answers.wait()
        return RoomId(room)


async def test_so_many_joins_are_under_way_at_once_and_the_rest_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "PATIENCE_S", 0.05)
    homeserver, woken = Silent(), asyncio.Semaphore(0)
    entering = Joins(cast(Any, homeserver), woken.release)
    for _ in range(2):
        entering.begin_round()
        for room in ROOMS:
            with pytest.raises(Unreachable):
                await entering.enter(room, ())
        assert homeserver.asked == ROOMS[:AT_ONCE]
    homeserver.answers.set()
    async with asyncio.timeout(60):
        for _ in ROOMS:
            await woken.acquire()
    assert homeserver.asked == ROOMS
    assert entering.entered() == set(ROOMS)
    assert [await entering.enter(room, ()) for room in ROOMS] == ROOMS
    assert entering.entered() == set()


async def test_joins_end_with_their_owner() -> None:
    homeserver = Silent()
    entering = Joins(cast(Any, homeserver), lambda: None)
    with pytest.raises(Unreachable):  # no round has begun: there is nothing to wait for
        await entering.enter(ROOMS[0], ())
    await entering.end()
    assert (entering.has_ended(ROOMS[0]), len(asyncio.all_tasks())) == (False, 1)
