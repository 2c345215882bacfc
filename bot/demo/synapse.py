"""A real Matrix homeserver on this machine, for the demo and the tests: matrix-synapse as a child process.

Rules kept here:
- Synapse (AGPL) is never imported here; it runs as a separate program.
- It listens on the loopback interface only.
- Only the process started here is ever ended. It also ends when we die, in whatever way: it holds the reading end of a
  pipe and stops when the pipe breaks.
- Nothing here belongs to an event loop, so one `Synapse` can serve tests with a loop each.

Left to others: the configuration (`synapse_config.py`), what people do there (`person.py`), the story.

It is ready in about three seconds, nearly all of it Python importing Synapse.
"""

import asyncio
import hashlib
import hmac
import importlib.util
import secrets
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from moderation.values.errors import AnswerableError
from moderation.values.ids import UserId

from . import child
from .synapse_config import LOG_FILE, NOTHING_MORE, SERVER_NAME, Limits, LogLevel, write_config

__all__ = ["PROGRAM", "SERVER_NAME", "Limits", "LogLevel", "Synapse", "SynapseAccount", "SynapseFailed", "is_installed"]

PROGRAM = "synapse.app.homeserver"
_START_S = 60.0
_POLL_S = 0.02
_PORTS_TRIED = 3
_LOG_LINES = 15
_PORT_TAKEN = "Address already in use"


def is_installed() -> bool:
    """Tell whether Synapse can be started. It is looked for, not imported."""
    return importlib.util.find_spec(PROGRAM.partition(".")[0]) is not None


class SynapseFailed(AnswerableError):
    """The homeserver did not come up, or refused what it refuses only if it is set up wrongly."""


class SynapseAccount(NamedTuple):
    """A registered user, logged in on one device."""

    user: UserId
    device: str
    token: str

    def __repr__(self) -> str:
        return f"Account({self.user!r}, {self.device!r})"  # no token in the output of a failed test


class Synapse:
    """A running homeserver; `await Synapse.start(folder)` makes one."""

    def __init__(self, folder: Path, config: Path, port: int, registration_secret: str) -> None:
        self.folder = folder
        self.server_name = SERVER_NAME
        self.url = f"http://127.0.0.1:{port}"
        self._config = config
        self._secret = registration_secret
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    async def start(
        cls,
        folder: Path,
        *,
        limits: Limits = "off",
        log_level: LogLevel = "WARNING",
        within_s: float = _START_S,
        more: Mapping[str, Any] = NOTHING_MORE,
    ) -> Self:
        """Make a new homeserver in `folder` (empty, or not there yet) and wait until it answers.

        `more` has further settings of Synapse.

        Raises `SynapseFailed`, with the end of its log, if it does not come up within `within_s`.
        """
        for _ in range(_PORTS_TRIED):
            port, secret = free_port(), secrets.token_hex(32)
            config = write_config(
                folder, port=port, registration_secret=secret, limits=limits, log_level=log_level, more=more
            )
            server = cls(folder, config, port, secret)
            try:
                await server._run(within_s)
            except SynapseFailed:
                # Another program may have taken the port before Synapse started.
                if _PORT_TAKEN not in server.log():
                    raise
            else:
                return server
        raise SynapseFailed(f"found no free port in {_PORTS_TRIED} attempts\n{server.log()}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else None

    async def stop(self) -> None:
        """End the process: first by SIGTERM, after ten seconds by SIGKILL. It is harmless if it has ended already."""
        process, self._process = self._process, None
        if process is not None:
            await child.stop(process)

    async def restart(self, *, within_s: float = _START_S) -> None:
        """Stop, and start again with the same data on the same port."""
        await self.stop()
        await self._run(within_s)

    async def register(self, localpart: str, password: str, *, admin: bool = False) -> SynapseAccount:
        """Make a user through Synapse's shared-secret registration, which can make admins, too."""
        url = f"{self.url}/_synapse/admin/v1/register"
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                nonce = (await response.json())["nonce"]
            body = {"nonce": nonce, "username": localpart, "password": password, "admin": admin}
            async with session.post(url, json={**body, "mac": self._mac(body)}) as response:
                answer: dict[str, Any] = await response.json()
        if "access_token" not in answer:
            raise SynapseFailed(f"could not register {localpart!r}: {answer.get('error', answer)}")
        return SynapseAccount(UserId(answer["user_id"]), answer["device_id"], answer["access_token"])

    def log(self, lines: int = _LOG_LINES) -> str:
        """Return the last lines of Synapse's log, and of its standard error."""
        words: list[str] = []
        for name in (LOG_FILE, "stderr.log"):
            path = self.folder / name
            if path.exists():
                words += path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join(words)

    async def _run(self, within_s: float) -> None:
        with (self.folder / "stderr.log").open("wb") as output:
            arguments = ("--config-path", str(self._config))
            self._process = child.start(PROGRAM, *arguments, folder=self.folder, output=output)
        try:
            async with asyncio.timeout(within_s):
                await self._until_it_answers(self._process)
        except TimeoutError:
            await self.stop()
            raise SynapseFailed(f"Synapse did not answer within {within_s:g} s\n{self.log()}") from None
        except BaseException:  # cancelled, or dead: leave no process behind
            await asyncio.shield(self.stop())
            raise

    async def _until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                if process.poll() is not None:
                    raise SynapseFailed(f"Synapse ended by itself ({process.returncode})\n{self.log()}")
                try:
                    async with session.get(f"{self.url}/health") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(_POLL_S)

    def _mac(self, body: dict[str, Any]) -> str:
        rights = "admin" if body["admin"] else "notadmin"
        text = "\0".join((body["nonce"], body["username"], body["password"], rights))
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha1).hexdigest()


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
