"""Synapse as an oracle about events, in a process of its own (`oracle_process.py`)."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.bot.federation.events import KEY_ID, SEED, SERVER

_SCRIPT = Path(__file__).with_name("oracle_process.py")


class Oracle:
    """The ids, hashes and signatures that Synapse computes of events."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, version: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return its answers: see `oracle_process.py`. `failed` says that it refuses the event."""
        asked = {"version": version, "event": event, "server": SERVER, "key_id": KEY_ID, "seed": SEED}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said


@contextmanager
def an_oracle() -> Iterator[Oracle]:
    """Run Synapse's code in another process."""
    arguments = [sys.executable, str(_SCRIPT)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Oracle(process)
        assert process.stdin is not None
        process.stdin.close()
