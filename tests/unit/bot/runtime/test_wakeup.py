"""Waiting parts are woken when something was written."""

import asyncio

from bot.runtime.wakeup import Wake


async def test_actors_wake_each_time_and_observers_once_for_a_batch() -> None:
    wake = Wake()
    for _ in range(3):
        wake()
        assert wake.dispatcher.is_set()
        wake.dispatcher.clear()
    others = (wake.scheduler, wake.verification)
    assert not any(event.is_set() for event in others)
    for _ in range(2):
        async with asyncio.timeout(120):
            await asyncio.gather(*(event.wait() for event in others))
        assert not wake.dispatcher.is_set()
        for event in others:
            event.clear()
        wake()
        wake.dispatcher.clear()


async def test_a_write_that_queued_nothing_wakes_only_those_who_check() -> None:
    wake = Wake()
    wake.later()
    async with asyncio.timeout(120):
        await asyncio.gather(wake.scheduler.wait(), wake.verification.wait())
    assert not wake.dispatcher.is_set()
