"""Commands of `answerable`, each in a process of its own, forked from one that has imported what they need.

    python -m tests.theatre.forked_command       reads orders, one JSON a line

Importing is most of what a short command does. Rules kept here:
- A command gets the arguments, the environment, the umask and the input that the caller gives it, and no terminal.
- Its output is kept whole.
- Several commands may run at the same time.
"""

import asyncio
import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).parents[2]
WITHIN_S = 120
_LOOK_S = 0.01
# What takes long, and does not depend on the environment of a command.
_IMPORTED = ("bot.app", "bot.cli.run", "bot.cli.session", "storage.export.export", "typer.main")


class Ran(NamedTuple):
    """The exit code and the output of a command; the code is negative if a signal ended it."""

    code: int
    out: str
    err: str


async def run_forked(
    *arguments: str, environ: Mapping[str, str], folder: Path = ROOT, stdin: str = "", umask: int = 0o022
) -> Ran:
    """Run a command in `folder` to its end."""
    with TemporaryDirectory(prefix="answerable-command-") as name:
        streams, server = Path(name), _server()
        (streams / "in").write_text(stdin, encoding="utf-8")
        order = {"streams": name, "folder": str(folder), "environ": dict(environ), "umask": umask}
        assert server.stdin is not None
        server.stdin.write(json.dumps({**order, "arguments": arguments}).encode() + b"\n")
        server.stdin.flush()
        while not (streams / "ended").exists():
            assert server.poll() is None, "the process that forks commands has ended"
            await asyncio.sleep(_LOOK_S)
        out, err = ((streams / stream).read_text("utf-8") for stream in ("out", "err"))
        return Ran(int((streams / "ended").read_text()), out, err)


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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a process that waits for a command
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            order = json.loads(line)
            if (pid := os.fork()) == 0:
                _be_the_command(order)
            _note_the_end(pid, Path(order["streams"]))


def _note_the_end(pid: int, streams: Path) -> NoReturn:
    _, status = os.waitpid(pid, 0)
    (streams / "ending").write_text(str(os.waitstatus_to_exitcode(status)))
    (streams / "ending").rename(streams / "ended")
    os._exit(0)


def _be_the_command(order: Mapping[str, Any]) -> NoReturn:
    streams = Path(order["streams"])
    for handle, name in enumerate(("in", "out", "err")):
        os.dup2(os.open(streams / name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), handle)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)  # the old one may hold the next order
    os.setsid()
    os.umask(order["umask"])
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    signal.alarm(WITHIN_S)
    from bot.cli.main import run

    run(order["arguments"])
    raise AssertionError("a command always exits")


if __name__ == "__main__":
    main()
