"""Commands of `answerable`, each in a process of its own, forked from one that has imported what they need.

    python -m tests.theatre.forked_command       reads orders, one JSON a line

Importing is most of what a short command does. Rules kept here:
- A command gets the arguments, the environment, the umask and the input that the caller gives it, and no terminal.
- Its output is kept whole.
- Several commands may run at the same time.
- A program that runs on, such as a bot, ends together with the process that started it.
"""

import asyncio
import atexit
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from bot.demo.bot_process import BotProcess, Ran
from bot.demo.child import CHILD

ROOT = Path(__file__).parents[2]
WITHIN_S = 120
CONFIG = "--config"
_LOOK_S = 0.01
# What takes long, and does not depend on the environment of a command.
_IMPORTED = ("bot.app", "bot.cli.run", "bot.cli.session", "storage.export.export", "typer.main")


async def run_forked(
    *arguments: str, environ: Mapping[str, str], folder: Path = ROOT, stdin: str = "", umask: int = 0o022
) -> Ran:
    """Run a command in `folder` to its end."""
    with TemporaryDirectory(prefix="answerable-command-") as name:
        streams = Path(name)
        (streams / "in").write_text(stdin, encoding="utf-8")
        _order(streams, _output(streams), arguments, environ, folder, umask=umask)
        while (code := _code(streams)) is None:  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(_LOOK_S)
        out, err = ((streams / stream).read_text("utf-8") for stream in ("out", "err"))
        return Ran(code, out, err)


class ForkedProgram:
    """A program that runs on, with what we use of `subprocess.Popen`."""

    def __init__(self, module: str, *arguments: str, folder: Path, output: Path, environ: Mapping[str, str]) -> None:
        """Start it, with its output going to the end of `output`."""
        self._streams = TemporaryDirectory(prefix="answerable-program-")
        self._folder = Path(self._streams.name)
        output.touch()
        os.mkfifo(self._folder / "in")
        self.stdin = (self._folder / "in").open("r+b", buffering=0)  # a writer: it ends when this is closed
        self._ended: int | None = None
        _order(self._folder, (str(output), str(output)), arguments, environ, folder, module=module)

    @property
    def pid(self) -> int:
        """The process id, which may be that of a process that has ended."""
        while not (self._folder / "pid").exists():
            time.sleep(_LOOK_S)
        return int((self._folder / "pid").read_text())

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        if self._ended is None and (code := _code(self._folder)) is not None:
            self._ended = code
            self.stdin.close()
            self._streams.cleanup()
        return self._ended

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Returns the exit code; raises `subprocess.TimeoutExpired`."""
        ends = time.monotonic() + (WITHIN_S if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() > ends:
                raise subprocess.TimeoutExpired(str(self._folder), timeout or WITHIN_S)
            time.sleep(_LOOK_S)
        return code

    def terminate(self) -> None:
        """Send SIGTERM, if it runs."""
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, if it runs."""
        self.send(signal.SIGKILL)

    def pause(self) -> None:
        """Send SIGSTOP, if it runs."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT, if it runs."""
        self.send(signal.SIGCONT)

    def send(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ForkedBot(BotProcess):
    """A bot whose process and whose commands are forked."""

    def _launch(self, *arguments: str, log: Path) -> ForkedProgram:
        return ForkedProgram(self._module, *arguments, folder=self.folder, output=log, environ=self._environ)

    async def command(self, *arguments: str, stdin: str = "") -> Ran:
        """Run any command of `answerable` on this deployment, until the command ends."""
        whole = (*arguments, "--config", str(self.config))
        return await run_forked(*whole, environ=self._environ, folder=self.folder, stdin=stdin)


def _output(streams: Path) -> tuple[str, str]:
    return str(streams / "out"), str(streams / "err")


def _order(
    streams: Path,
    output: tuple[str, str],
    arguments: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
    *,
    umask: int = 0o022,
    module: str = "",
) -> None:
    """Have a command forked; or a module, which is run as a program that runs on."""
    known = {**_of_database(arguments), **environ}
    order = {"streams": str(streams), "output": output, "arguments": arguments, "environ": known}
    server = _server()
    assert server.stdin is not None
    server.stdin.write(json.dumps({**order, "folder": str(folder), "umask": umask, "module": module}).encode() + b"\n")
    server.stdin.flush()


def _of_database(arguments: Sequence[str]) -> dict[str, str]:
    """Return what the environment says of the database, beside a deployment's settings."""
    if CONFIG not in arguments:
        return {}
    from tests.theatre.engine import environ_for

    file = Path(arguments[arguments.index(CONFIG) + 1])
    try:
        settings = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # for the command to refuse
        settings = {}
    return environ_for(file.parent / settings.get("bot", {}).get("data_dir", "data"))


def _code(streams: Path) -> int | None:
    """Return the exit code that was noted; None if the process has not ended."""
    if (streams / "ended").exists():
        return int((streams / "ended").read_text())
    assert _server().poll() is None, "the process that forks commands has ended"
    return None


@cache
def _server() -> subprocess.Popen[bytes]:
    """Return the process that forks commands; it ends with this one."""
    command = [sys.executable, "-m", "tests.theatre.forked_command"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT)

    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()

    atexit.register(end)
    return server


# In the process that forks commands.


def main() -> None:
    """Fork commands until there are no more orders."""
    for module in _IMPORTED:
        import_module(module)
    gc.freeze()  # or each command looks through all that was imported, and copies it, when it ends
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a process that waits for a command
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            order = json.loads(line)
            if (pid := os.fork()) == 0:
                _be_the_command(order)
            _note(Path(order["streams"]), "pid", pid)
            _, status = os.waitpid(pid, 0)
            _note(Path(order["streams"]), "ended", os.waitstatus_to_exitcode(status))
            os._exit(0)


def _note(streams: Path, name: str, number: int) -> None:
    """Write a file, which is whole as soon as it is there."""
    (streams / "new").write_text(str(number))
    (streams / "new").rename(streams / name)


def _be_the_command(order: Mapping[str, Any]) -> NoReturn:
    for handle, name in enumerate((str(Path(order["streams"]) / "in"), *order["output"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND if handle else os.O_RDONLY, 0o600), handle)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)  # the old one may hold the next order
    os.setsid()
    os.umask(order["umask"])
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    if order["module"]:
        sys.argv = ["-c", order["module"], *order["arguments"]]
        exec(CHILD, {"__name__": "child"})  # as `child.start` has it done
        sys.exit(0)
    signal.alarm(WITHIN_S)
    from bot.cli.main import run

    run(order["arguments"])
    raise AssertionError("a command always exits")


if __name__ == "__main__":
    main()
