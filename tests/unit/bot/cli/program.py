"""A program of `answerable` in a process of its own, which is forked, as importing is most of what it does."""

import time
from collections.abc import Mapping
from pathlib import Path

from tests.theatre.forked_command import ForkedProgram

DEADLINE_S = 300.0
_LOOK_S = 0.02


class Program(ForkedProgram):
    """`answerable` with some arguments, in the folder of its configuration, and what it has said."""

    def __init__(self, *arguments: str, folder: Path, environ: Mapping[str, str]) -> None:
        """Start it; each of a folder has a file of its own for what it says."""
        number = len(list(folder.glob("said-*")))
        self._said = folder / f"said-{number}"
        super().__init__("bot.cli.main", *arguments, folder=folder, output=self._said, environ=environ)

    @property
    def said(self) -> str:
        """Return what it has written to the terminal."""
        return self._said.read_text("utf-8")

    def until_said(self, words: str) -> str:
        """Wait until it has written these words. Return all that it has written."""
        ends = time.monotonic() + DEADLINE_S
        while words not in self.said:
            assert self.poll() is None and time.monotonic() < ends, self.said
            time.sleep(_LOOK_S)
        return self.said

    def end(self) -> int:
        """Wait for its end. Return the exit code."""
        return self.wait(DEADLINE_S)


def ended(*arguments: str, folder: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a program to its end. Return the exit code and what it wrote."""
    program = Program(*arguments, folder=folder, environ=environ)
    return program.end(), program.said
