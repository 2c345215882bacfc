"""The bot as an operator runs it: set up and started through its own command line, in a process of its own.

Rules kept here:
- Nothing of the product is called in this process.
- Settings of this terminal (`ANSWERABLE_...`) do not reach the bot.
- One folder holds all it has, so `answerable COMMAND --config FOLDER/config.toml` works there.
- An end that we did not cause is told as such.

Left to others: what the rules of the story are for (`steps.py`).
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

from moderation.values.errors import AnswerableError

from . import child
from .synapse import free_port

MODULE = "bot.cli.main"
CONFIG_FILE = "config.toml"
LOG_FILE = "bot.log"
CONSOLE_LOG_FILE = "console.log"
POLICY_LOG_FILE = "policy.log"
_START_S = 300.0  # a bot that ends is noticed at once
_COMMAND_S = 300.0
_POLL_S = 0.02
_LOG_LINES = 15

_CONSOLE = """
[console]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
"""
_POLICY_SERVER = """
[policy_server]
server_name = "{name}"
listen = "{listen}"
when_down = "10s"
private_networks = true
ca_file = "{ca_file}"
"""
RULES = Path(__file__).with_name("rules.toml")  # what the operator adds to what `init` wrote


class BotFailed(AnswerableError):
    """The bot could not be set up or started, or ended unexpectedly; the message has the end of its log."""


class Ran(NamedTuple):
    """The exit code and the output of a command; the code is negative if a signal ended it."""

    code: int
    out: str
    err: str


class PolicyServerOfDemo(NamedTuple):
    """The name of a policy server among servers, where it listens, and the authority that certifies all servers."""

    name: str
    listen: str
    ca_file: Path


class BotProcess:
    """One deployment of the bot in `folder`, and its process while it runs; `module` is what is run."""

    def __init__(self, folder: Path, language: str, module: str = MODULE) -> None:
        self.folder = folder
        self._module = module
        self.config = folder / CONFIG_FILE
        self.restarts = 0
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("ANSWERABLE_")}
        self._environ["ANSWERABLE_LANG"] = language
        self._language = language
        self._process: child.Child | None = None
        self._console: child.Child | None = None
        self._policy: child.Child | None = None
        self._log_from = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def set_up(
        self, url: str, user: str, password: str, operator: str, policy_server: PolicyServerOfDemo
    ) -> None:
        """Run `answerable init`, and add the operator's rules to what it wrote. Raises `BotFailed`."""
        where = ("--homeserver", url, "--user", user, "--data-dir", ".")
        who = ("--operator", operator, "--language", self._language)
        ran = await self.command("init", *where, *who, "--password-stdin", "--yes", stdin=f"{password}\n")
        if ran.code != 0:
            raise BotFailed(f"answerable init: {ran.code}\n{ran.err}")
        with self.config.open("a", encoding="utf-8") as file:
            settings = (RULES.read_text("utf-8"), _CONSOLE.format(port=free_port()))
            file.write("\n".join(("", *settings, _POLICY_SERVER.format(**policy_server._asdict()))))

    async def command(self, *arguments: str, stdin: str = "") -> Ran:
        """Run any command of `answerable` on this deployment, while the bot runs, until the command ends."""
        run = asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-m", MODULE, *arguments, "--config", str(self.config)],
            input=stdin.encode(),
            capture_output=True,
            cwd=self.folder,
            env=self._environ,
            timeout=_COMMAND_S,
            start_new_session=True,
        )
        done = await run
        return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def start(self) -> None:
        """Start `answerable run`. Returns at once."""
        log = self.folder / LOG_FILE
        self._log_from = log.stat().st_size if log.exists() else 0
        self._process = self._launch("run", "--config", str(self.config), "--log-format", "json", log=log)

    def _launch(self, *arguments: str, log: Path) -> child.Child:
        with log.open("ab") as output:
            return child.start(self._module, *arguments, folder=self.folder, output=output, environ=self._environ)

    async def start_console(self) -> None:
        """Start `answerable console run`, and wait until it answers. Raises `BotFailed` if it ends instead."""
        self._console = await self._listening("console", self.folder / CONSOLE_LOG_FILE)

    async def start_policy(self) -> None:
        """Start `answerable policy run`, and wait until it answers. Raises `BotFailed` if it ends instead."""
        self._policy = await self._listening("policy", self.folder / POLICY_LOG_FILE)

    def kill_policy(self) -> None:
        """Send SIGKILL to the policy server."""
        process, self._policy = self._policy, None
        assert process is not None, "it does not run"
        process.kill()
        process.wait()

    async def _listening(self, name: str, log: Path) -> child.Child:
        """Start `answerable NAME run`, and return it once it says that it listens."""
        process = self._launch(name, "run", "--config", str(self.config), log=log)
        async with asyncio.timeout(_START_S):
            while f"{name}_listening" not in (said := await asyncio.to_thread(log.read_text, "utf-8")):
                if (code := process.poll()) is not None:
                    raise BotFailed(f"answerable {name} ended by itself ({code})\n{said}")
                await asyncio.sleep(_POLL_S)
        return process

    async def until_ready(self) -> None:
        """Wait until the bot says it is ready. Raises `BotFailed` if it ends instead, or takes too long."""
        try:
            async with asyncio.timeout(_START_S):
                while '"event": "ready"' not in self._said():
                    self._raise_if_ended()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise BotFailed(f"the bot was not ready after {_START_S:g} s\n{self.log()}") from None

    async def watch(self) -> NoReturn:
        """Wait for ever. Raises `BotFailed` when the bot has ended without our having ended it."""
        while True:
            self._raise_if_ended()
            await asyncio.sleep(_POLL_S)

    def kill(self) -> None:
        """Send SIGKILL, as the kernel does when memory is short. `start` starts it again."""
        process, self._process = self._process, None
        assert process is not None, "it does not run"
        process.kill()
        process.wait()
        self.restarts += 1

    async def stop(self) -> int:
        """End it as an operator does, and what runs beside it. Return the bot's exit code; 0 if it did not run."""
        beside, self._console, self._policy = (self._console, self._policy), None, None
        for process in beside:
            if process is not None:
                await child.stop(process)
        process, self._process = self._process, None
        return 0 if process is None else await child.stop(process)

    def log(self, lines: int = _LOG_LINES) -> str:
        """Return the last lines of the bot's log."""
        path = self.folder / LOG_FILE
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _said(self) -> str:
        """Return what it wrote since its last start."""
        with (self.folder / LOG_FILE).open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def _raise_if_ended(self) -> None:
        process = self._process
        if process is not None and (code := process.poll()) is not None:
            raise BotFailed(f"the bot ended by itself ({code})\n{self.log()}")
