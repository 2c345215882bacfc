"""The operation that tells a running bot what was found out about the homeserver's rate limit.

Left to others: finding out (`bot/cli/rate_limit.py`), what follows (`bot/outbox/dispatcher.py`).
"""

from collections.abc import Callable
from typing import Any, get_args

from bot.matrix.rate_limit import Limit

from .request import ByName, Request


def learning_of_limit(learn: Callable[[Limit], None]) -> ByName:
    """Return the operation by the name that `Control` uses."""

    async def do(asked: Request) -> dict[str, Any]:
        (limit,) = (each for each in get_args(Limit) if each == asked.string("limit"))
        learn(limit)
        return {}

    return {"rate-limit": do}
