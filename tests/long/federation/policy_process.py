"""The policy server as operators run it: `answerable policy run`, behind a proxy that terminates TLS."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from bot.config.policy_server import HEALTH_PATH
from bot.demo.authority import TlsAuthority
from bot.demo.tls_front import TlsFront
from moderation.values.ids import UserId
from storage.policy_server.spool import event_key
from tests.fakes.ports import free_port
from tests.theatre.forked_command import ForkedProgram
from tests.theatre.served import HEAD, ServedBot, until


class PolicyProcess:
    """One process, and its name among servers. Use `proxied` to make one."""

    def __init__(self, name: str, listen: str, authority: TlsAuthority) -> None:
        self.name = name
        self.user = UserId(f"@answerable:{name}")
        self.settings = (
            f'[policy_server]\nserver_name = "{name}"\nlisten = "{listen}"\n'
            f'private_networks = true\nca_file = "{authority.file}"\nwithin = "10s"\n'
        )
        self._url = f"http://{listen}"
        self._program: ForkedProgram | None = None

    def start(self, bot: ServedBot, rules: str) -> None:
        """Start it on the data of a bot, with `rules` and settings of its own."""
        folder = bot.data_dir.parent
        text = HEAD.format(url=bot.session.url, user=bot.user, bot="") + rules + self.settings
        (folder / "config.toml").write_text(text)
        words = ("policy", "run", "--config", str(folder / "config.toml"))
        log = folder / "policy.log"
        self._program = ForkedProgram("bot.cli.main", *words, folder=folder, output=log, environ=os.environ)

    async def up(self) -> None:
        """Wait until it answers."""
        await until(self._answers, "the policy server")

    async def kill(self) -> None:
        """End it at once."""
        assert self._program is not None
        self._program.kill()
        await asyncio.to_thread(self._program.wait)

    async def stop(self) -> int:
        """Ask it to end; return its exit code."""
        program, self._program = self._program, None
        if program is None:
            return 0
        program.terminate()
        return await asyncio.to_thread(program.wait)

    def room_state(self, bot: ServedBot) -> dict[str, Any]:
        """Return the content of `m.room.policy`."""
        return {"via": self.name, "public_keys": {"ed25519": event_key(bot.data_dir)}}

    async def figures(self) -> dict[str, int]:
        """Return what it counted, by short names."""
        async with aiohttp.ClientSession() as session, session.get(f"{self._url}/metrics") as answer:
            lines = [line.split() for line in (await answer.text()).splitlines() if not line.startswith("#")]
        whole = {name.removeprefix("answerable_policy_"): value for name, value in lines}
        return {name.removesuffix("_total"): int(value) for name, value in whole.items() if name.endswith("_total")}

    async def _answers(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(self._url + HEALTH_PATH) as answer:
                return answer.status == 200
        return False


@contextlib.asynccontextmanager
async def proxied(authority: TlsAuthority) -> AsyncIterator[PolicyProcess]:
    """Yield a policy server that is to be started, with a proxy in front of it; at the end, stop both."""
    port = free_port()
    async with TlsFront(authority, port) as front:
        process = PolicyProcess(front.name, f"127.0.0.1:{port}", authority)
        try:
            yield process
        finally:
            await process.stop()
