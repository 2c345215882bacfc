"""Waiting tasks are woken when something was written."""

import asyncio

from bot.runtime.wakeup import Wake


async def test_who_acts_is_woken_each_time_at_once_and_who_looks_once_for_all_that_was_written_meanwhile() -> None:
    woken, looked = [], asyncio.Event()

    def look() -> None:
        woken.append("looks")
        looked.set()

    wake = Wake((lambda: woken.append("acts"),), (look,))
    for _ in range(3):
        wake()
    assert woken == ["acts"] * 3
    await asyncio.wait_for(looked.wait(), 10)
    assert woken == ["acts"] * 3 + ["looks"]
    looked.clear()
    wake()
    await asyncio.wait_for(looked.wait(), 10)
    assert woken[-2:] == ["acts", "looks"]


def test_before_anybody_sleeps_nobody_is_woken() -> None:
    Wake()()
