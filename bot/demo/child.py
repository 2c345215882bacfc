"""Child processes of the story: programs of ours that run meanwhile, and end with us.

Rules kept here:
- A child ends when we die, in whatever way: it holds the reading end of a pipe and stops when the pipe breaks.
- Ctrl-C at the terminal reaches us only, and we end the child in our own time.
- Only a process started here is ever ended.

Nothing here belongs to an event loop.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

_STOP_S = 10.0

# Runs in the child. This works on every system, while PR_SET_PDEATHSIG is Linux only and fires when a mere
# thread of ours ends.
CHILD = f"""
import os, runpy, signal, sys, threading

def end_with_parent():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait({_STOP_S})
    os._exit(1)

threading.Thread(target=end_with_parent, daemon=True).start()
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


class Child(Protocol):
    """The part of a started process that tests use."""

    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def start(
    module: str, *arguments: str, folder: Path, output: IO[bytes], environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Run a module of this Python's environment as a program, in `folder`, with its output going to `output`."""
    # Not asyncio's, which would belong to one loop, and end with it. Starting takes no time.
    return subprocess.Popen(  # noqa: S603 - our own Python, no input of others
        [sys.executable, "-P", "-c", CHILD, module, *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=folder,
        env=dict(os.environ if environ is None else environ),
        start_new_session=True,
    )


async def stop(process: Child) -> int:
    """End it: first by SIGTERM, after ten seconds by SIGKILL. Return its exit code.

    It is harmless if the process has ended already.
    """
    return await asyncio.to_thread(_end, process)


def _end(process: Child) -> int:
    process.terminate()
    try:
        code = process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if process.stdin is not None:
        process.stdin.close()
    return code
