"""Draupnir's own library for policy lists, `@gnuxie/matrix-protection-suite`, asked in a Node.js process of its own.

Left to others: the program (`draupnir.mjs`), its packages (`tests/clients/packages.py`).
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.clients import packages

HERE = Path(__file__).parent
_WITHIN_S = 120.0


async def written(*orders: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events that Draupnir sends to a list: {"ban": id}, or {"takedown": id, "hashed": true}."""
    return list(await _ask({"write": orders}))


async def who_is_banned(events: Sequence[dict[str, Any]], users: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return those of `users` whom a list bans as Draupnir reads it, each with state key and reason of the entry."""
    answer = await _ask({"read": events, "users": users})
    found = zip(users, answer["keys"], answer["reasons"], strict=True)
    return {user: (key, reason) for user, key, reason in found if key is not None}


async def _ask(request: dict[str, Any]) -> Any:
    modules = await asyncio.to_thread(packages.installed, HERE)
    program = (str(packages.node()), str(HERE / "draupnir.mjs"), str(modules))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(_WITHIN_S):
        answer, errors = await process.communicate(json.dumps(request).encode())
    assert process.returncode == 0, errors.decode()
    return json.loads(answer)
