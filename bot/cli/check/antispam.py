"""The checks of `[antispam]`: the token, whether the bot answers, and what belongs into the homeserver's settings."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.cli.run import running_pid
from bot.cli.terminal.output import why_of

from .findings import Finding, note, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config

_PATIENCE_S = 5.0
_ID = "check"


def antispam(config: "Config") -> Iterator[Finding]:
    """Yield all findings about the callbacks of the antispam module; none if nothing listens for them."""
    from bot.antispam.module_config import TOKEN_FILE, module_config
    from bot.config.antispam import ANTISPAM_TOKEN, token_of
    from bot.config.oidc import is_loopback, listen_address
    from moderation.values.errors import Refused

    listen = config.antispam.listen
    if listen is None:
        if config.secrets.antispam is not None:
            yield warning("antispam", "antispam_token_unused", variable=ANTISPAM_TOKEN)
        return
    try:
        token = token_of(config.secrets.antispam)
    except Refused as error:
        yield problem("antispam", "antispam_token", why=why_of(error), variable=ANTISPAM_TOKEN)
        return
    if not is_loopback(listen_address(listen)[0]):
        yield warning("antispam", "antispam_in_clear", address=listen)
    if running_pid(config.data_dir) is None:
        yield note("antispam", "antispam_later", address=listen)
    elif asyncio.run(_answers(listen, token)):
        counts = asyncio.run(_asked(config))
        yield ok("antispam", "antispam", address=listen, asked=counts["asked"], refused=counts["refused"])
        if not counts["asked"]:
            yield note("antispam", "antispam_unasked")
        if counts["late"]:
            yield warning("antispam", "antispam_late", count=counts["late"])
    else:
        yield problem("antispam", "antispam_silent", address=listen)
    block = module_config(config.antispam)
    yield note("antispam", "antispam_module", file=TOKEN_FILE).with_block(block)


async def _asked(config: "Config") -> dict[str, int]:
    from bot.cli.access.admin_client import ask_bot

    return await ask_bot(config.data_dir, "antispam-asked", {}, None)


async def _answers(listen: str, token: str) -> bool:
    """Return whether the bot answers there, as the module sees it."""
    import aiohttp

    from bot.outside.http import http_session

    patience = aiohttp.ClientTimeout(total=_PATIENCE_S)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            http_session(timeout=patience) as http,
            http.post(f"http://{listen}/ping", json={"id": _ID}, headers=headers) as response,
        ):
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
    return isinstance(answer, dict) and answer.get("id") == _ID and answer.get("status") == "ok"
