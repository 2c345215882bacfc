"""Urgent rows reach the dispatcher while it runs, and answers to those under way are waited for."""

import asyncio
from collections.abc import Sequence

from bot.pipeline.urgent_rows import UrgentRows
from storage.outbox import OutboxRow


def test_rows_are_handed_on_only_while_somebody_takes_them() -> None:
    urgent, given = UrgentRows(), list[Sequence[OutboxRow]]()
    urgent.hand_on(())
    with urgent.taken_by(given.append):
        urgent.hand_on(())
    urgent.hand_on(())
    assert given == [()]


async def test_the_answers_are_waited_for_and_not_longer_than_told() -> None:
    urgent = UrgentRows()
    await urgent.answered(60)  # nothing is under way
    with urgent.asking():
        await urgent.answered(0.001)
        waits = asyncio.create_task(urgent.answered(60))
        await asyncio.sleep(0)
        assert not waits.done()
    async with asyncio.timeout(120):
        await waits
