"""The socket of a machine that stands by: whatever is asked there is refused, and told where it can be done.

Left to others: the socket itself (`control_socket.py`).
"""

from pathlib import Path
from typing import Any

from moderation.values.errors import Refused

from .control_socket import Control
from .request import Operation, Request


class _NoOperation(dict[str, Operation]):
    """All operations, each of which is refused."""

    def __missing__(self, name: str) -> Operation:
        return _refuse


def standing_by(data_dir: Path) -> Control:
    """Return the server of the socket for as long as the bot stands by."""
    return Control(data_dir, _NoOperation())


async def _refuse(_request: Request) -> dict[str, Any]:
    raise Refused("cli.operate.stands_by")
