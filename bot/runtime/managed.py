"""Resources that are opened in a thread and closed at the end.

Rule kept here:
- A thread goes on when its caller is cancelled. What it opens then is closed, too: otherwise the next start in this
  process could not open it (a log is open once).
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

T = TypeVar("T")


async def managed(stack: AsyncExitStack, make: Callable[[], T], close: Callable[[T], object]) -> T:
    """Return what `make` gives, called in a thread; when the stack ends, call `close` with it, in a thread."""
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
