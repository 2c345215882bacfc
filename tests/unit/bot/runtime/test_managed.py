"""Everything that is opened is closed, whenever the task is cancelled."""

import asyncio
import threading
from contextlib import AsyncExitStack

import pytest

from bot.runtime.managed import managed


async def test_it_is_closed_when_the_stack_ends() -> None:
    closed: list[str] = []
    async with AsyncExitStack() as stack:
        assert await managed(stack, lambda: "a log", closed.append) == "a log"
        assert closed == []
    assert closed == ["a log"]


async def test_cancelled_while_it_is_being_opened_it_is_closed_before_the_cancelling_is_over() -> None:
    closed: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        assert go_on.wait(20)
        return "a log"

    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(managed(stack, make, closed.append))
        assert await asyncio.to_thread(begun.wait, 20)
        opening.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert closed == ["a log"]
    assert closed == ["a log"]


async def test_a_resource_that_failed_to_open_is_not_closed() -> None:
    closed: list[str] = []

    def make() -> str:
        raise OSError("no disk")

    async with AsyncExitStack() as stack:
        with pytest.raises(OSError, match="no disk"):
            await managed(stack, make, closed.append)
    assert closed == []
