"""Coroutines that run while a block runs, and tasks that are ended."""

import asyncio

import pytest

from bot.runtime.works import end, meanwhile


async def for_ever(seen: list[str]) -> None:
    seen.append("began")
    try:
        await asyncio.Event().wait()
    finally:
        seen.append("ended")


async def test_work_runs_while_the_block_runs() -> None:
    seen: list[str] = []
    async with meanwhile(for_ever(seen)):
        await asyncio.sleep(0)
        assert seen == ["began"]
    assert seen == ["began", "ended"]


async def test_work_ends_with_a_block_that_fails() -> None:
    seen: list[str] = []
    with pytest.raises(ZeroDivisionError):
        async with meanwhile(for_ever(seen)):
            await asyncio.sleep(0)
            raise ZeroDivisionError
    assert seen == ["began", "ended"]


async def test_tasks_have_ended_whatever_they_raise() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    seen: list[str] = []
    tasks = {asyncio.create_task(for_ever(seen)), asyncio.create_task(fails())}
    await asyncio.sleep(0)
    await end(tasks)
    assert seen == ["began", "ended"]
    assert all(task.done() for task in tasks)
