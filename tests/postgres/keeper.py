"""End a PostgreSQL server of the tests when no process uses it any more, also if these were killed.

    python keeper.py FOLDER          is started with the server, and waits

Each user holds a lock of its process on `FOLDER/users`, which the system takes back when the process ends.
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

DATA = "data"
_USERS = "users"
_WITHIN_S = 120
_LOOK_S = 0.01


def hold(folder: Path) -> IO[bytes]:
    """Hold the lock of one user until the returned file is closed. Waits while another process ends the server."""
    users = (folder / _USERS).open("a+b")
    fcntl.lockf(users, fcntl.LOCK_SH)
    return users


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process uses the server, and keep others away."""
    with (folder / _USERS).open("a+b") as users:
        fcntl.lockf(users, fcntl.LOCK_EX)
        yield


def end(folder: Path) -> None:
    """End the server once no other process uses it, and remove what it wrote."""
    if folder.exists():
        with _alone(folder):
            _stop(folder)
            shutil.rmtree(folder / DATA, ignore_errors=True)


def main_process(folder: Path) -> psutil.Process | None:
    """Return the server's main process; None if it does not run."""
    data = folder / DATA
    try:
        found = psutil.Process(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
        is_running = found.status() != psutil.STATUS_ZOMBIE and Path(found.cwd()).samefile(data)
    except (OSError, ValueError, psutil.Error):
        return None
    return found if is_running else None


def processes(folder: Path) -> list[psutil.Process]:
    """Return all processes of the server, the main one first."""
    first = main_process(folder)
    return [first, *first.children(recursive=True)] if first else []


def _stop(folder: Path) -> None:
    """End the server without a checkpoint; a main process that is not killed gives back what the system lent it."""
    found = processes(folder)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
    if found:
        with suppress(psutil.NoSuchProcess):
            found[0].send_signal(signal.SIGQUIT)
        _wait(found)
        kill(folder)


def kill(folder: Path) -> None:
    """End the server at once, as if its machine stopped, and wait until it is gone."""
    found = processes(folder)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    _wait(found)


def _wait(processes: list[psutil.Process]) -> None:
    """Wait until processes have ended; some of the server's stay as zombies until the system finds time for them."""
    until = time.monotonic() + _WITHIN_S
    while any(map(_is_alive, processes)) and time.monotonic() < until:
        time.sleep(_LOOK_S)


def _is_alive(process: psutil.Process) -> bool:
    try:
        process.wait(0)  # takes notice of the end of a child of ours
    except psutil.TimeoutExpired:
        with suppress(psutil.NoSuchProcess):
            return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


if __name__ == "__main__":
    os.chdir("/")
    end(Path(sys.argv[1]))
