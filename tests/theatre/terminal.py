"""A command on a terminal of its own, answered question by question as a person would."""

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

Talk = Sequence[tuple[str, str]]  # a part of what is on the screen once an answer is wanted, and the answer


def at_a_terminal(command: Sequence[str], folder: Path, environ: Mapping[str, str], talk: Talk = ()) -> tuple[int, str]:
    """Run a command and answer each question. Returns its exit code and everything that was on the screen."""
    ours, theirs = pty.openpty()
    screen = b""
    with subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environ),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # or it would ask at the terminal the tests were started from
    ) as process:
        os.close(theirs)
        seen = 0
        with suppress(OSError):  # how a terminal tells that the other end is gone
            for question, answer in talk:
                while (at := screen.find(question.encode(), seen)) < 0 or not _waits(screen):
                    screen += os.read(ours, 4096)
                seen = at + len(question.encode())
                os.write(ours, f"{answer}\n".encode())
                screen += os.read(ours, 4096)  # the end of the line, echoed or not
            while chunk := os.read(ours, 4096):
                screen += chunk
        os.close(ours)
    return process.returncode, screen.decode().replace("\r\n", "\n")


def _waits(screen: bytes) -> bool:
    """Tell whether the cursor stands behind a question."""
    return screen.rstrip(b" ").endswith((b":", b"]:"))


class RunningCommand:
    """A command on a terminal of its own that goes on running, while what it prints is kept."""

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._screen = b""
        self._process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environ),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def stop(self, by: signal.Signals) -> tuple[int, str]:
        """End it by a signal. Returns its exit code and everything that was on the screen."""
        if self._process.poll() is None:
            self._process.send_signal(by)
        code = self._process.wait()
        self._reading.join()
        return code, self._screen.decode().replace("\r\n", "\n")

    def _read(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self._ours, 4096):
                self._screen += chunk
        os.close(self._ours)
