"""The Synapse that all workers of a run of the tests share; each test has users and rooms of its own.

The worker that needs it first starts it, and ends it when no other worker uses it any more.

Rules kept here:
- Each user holds a lock of its process on `FOLDER/users`, which the system takes back when the process ends. Who
  started Synapse waits for that of all others; who comes meanwhile starts another one.
- Synapse ends with the process that started it, also if that is killed: the tests of others fail then.
"""

import asyncio
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pytest

from bot.demo.synapse import Limits, Synapse
from bot.demo.synapse_config import CONFIG_FILE

STARTED_S = 500.0  # three seconds of a processor: minutes where many programs run
_SELDOM = {"gc_min_interval": ["10s", "60s", "300s"]}  # to look for garbage, which takes a twentieth of its time
_FOLDER = "ANSWERABLE_TEST_SYNAPSE_FOLDER"
_MEMORY = Path("/dev/shm")
_PLACE = "place"


def prepare(config: pytest.Config) -> None:
    """Choose the folder in which the workers of this run find its homeservers."""
    if hasattr(config, "workerinput") or _FOLDER in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="answerable-synapses-"))
    os.environ[_FOLDER] = str(folder)
    config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))
    config.add_cleanup(partial(os.environ.__delitem__, _FOLDER))


def running(limits: Limits, **more: Any) -> Iterator[Synapse]:
    """Run a homeserver; `more` has further settings of Synapse."""
    # In memory, where the system has such a folder: flushing the homeserver's database to a disk takes a fifth of the
    # time of these tests and shows nothing about us. What the bot writes does go to a disk.
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="answerable-synapse-", dir=where, ignore_cleanup_errors=True) as folder:
        server = asyncio.run(Synapse.start(Path(folder), limits=limits, within_s=STARTED_S, more={**_SELDOM, **more}))
        yield server
        asyncio.run(server.stop())


@contextmanager
def shared(limits: Limits, config: pytest.Config) -> Iterator[Synapse]:
    """Use the homeserver of this run that has these limits, started if it does not run yet."""
    folder = Path(os.environ[_FOLDER]) / limits
    folder.mkdir(parents=True, exist_ok=True)
    place, users = folder / _PLACE, (folder / "users").open("a+b")
    with (folder / "starting").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first worker starts it, the others wait
        fcntl.lockf(users, fcntl.LOCK_SH)  # waits while the one that started it ends it
        starts = not place.exists()
        if starts:
            started = running(limits)
            place.write_text(str(next(started).folder))
            config.add_cleanup(partial(_end, started, place, users))
    yield _found(Path(place.read_text()))
    if not starts:
        users.close()


def _end(started: Iterator[Synapse], place: Path, users: IO[bytes]) -> None:
    """End a homeserver once no other worker uses it; when all tests of this worker are over, so none waits too long."""
    with users:
        fcntl.lockf(users, fcntl.LOCK_UN)
        fcntl.lockf(users, fcntl.LOCK_EX)
        place.unlink()
        next(started, None)


def _found(folder: Path) -> Synapse:
    """Return the homeserver that runs in a folder; it cannot be stopped by this object."""
    config = folder / CONFIG_FILE
    settings = json.loads(config.read_text("utf-8"))
    return Synapse(folder, config, settings["listeners"][0]["port"], settings["registration_shared_secret"])
