"""The operation that tells how often the homeserver has asked before it delivered, since the bot started."""

from collections.abc import Callable, Mapping
from typing import Any

from .request import ByName, Request


def telling_of_questions(counts: Callable[[], Mapping[str, int]]) -> ByName:
    """Return the operation by the name that `Control` uses."""

    async def do(_asked: Request) -> dict[str, Any]:
        return dict(counts())

    return {"antispam-asked": do}
