"""What is opened in a thread and closed when all ends.

Rule kept here: a thread goes on when whoever waits for it is cancelled; what it opens then is closed, too, or it would
keep the next start in this process from opening it (a log is open once).
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

T = TypeVar("T")


async def managed(stack: AsyncExitStack, make: Callable[[], T], close: Callable[[T], object]) -> T:
    """What `make` gives, called in a thread; `close` is called with it, in a thread, when the stack ends."""
    opening = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        thing = await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.wait({opening})
        if opening.exception() is None:
            await asyncio.to_thread(close, opening.result())
        raise
    stack.push_async_callback(asyncio.to_thread, close, thing)
    return thing
