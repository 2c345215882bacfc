"""Asking the bot: whatever changes something is done by it, or not at all.

Rules kept here:
- The console decides nothing in the bot's place. If no answer comes, the page says so, and whether the bot may still
  have done it.

Left to others: the socket (`bot/runtime/asking.py`), what the bot does (`bot/admin/`), refusals (`app.py`).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.runtime.asking import NO_DOOR, ask_bot
from moderation.values.errors import Refused

from .site import Site
from .visit import Bad

PATIENCE_S = 20.0
_NO_ANSWER: Mapping[str, str] = {
    NO_DOOR: "console.bot.down",
    "cli.operate.broken_off": "console.bot.broken_off",
    "cli.operate.unreadable": "console.bot.other_version",
    "cli.operate.failed": "console.bot.failed",
}


async def ask(site: Site, do: str, patience_s: float = PATIENCE_S, **arguments: Any) -> dict[str, Any]:
    """Have the bot do something. Raises `Refused` if it refuses, `Bad` if it gives no answer."""
    try:
        async with asyncio.timeout(patience_s):
            return await ask_bot(site.data_dir, do, arguments)
    except TimeoutError:
        raise Bad("console.bot.silent", 503) from None
    except Refused as refused:
        if refused.key in _NO_ANSWER:
            raise Bad(_NO_ANSWER[refused.key], 503, **refused.fields) from None
        raise
    except (OSError, ValueError, LookupError, TypeError):  # the connection, or an answer that is none
        raise Bad("console.bot.broken_off", 503) from None
