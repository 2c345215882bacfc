"""Coroutines that run concurrently until the process is told to stop, or one of them fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_until(stop: asyncio.Event, *works: Coroutine[Any, Any, None]) -> None:
    """Run all `works` until `stop` is set or one of them ends. Raises the error of one that failed."""
    tasks = [asyncio.create_task(work) for work in works]
    asked = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, asked}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {asked}:
            task.result()
    finally:
        for task in (*tasks, asked):
            task.cancel()
        await asyncio.gather(*tasks, asked, return_exceptions=True)
