"""A disk that is full, broken or read-only, and a database that another process has locked.

The bot ends, says so, loses nothing, and has done everything once after it was started again.
"""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from storage.database.place import FILE
from tests.long.faults.conftest import Opening
from tests.long.faults.fault import Fault
from tests.long.faults.perform import PLACES, perform
from tests.long.faults.running import Place
from tests.long.faults.seen import different
from tests.long.faults.stories.away import AWAY
from tests.theatre.served import like

# A traceback, the key of a text in the place of its words, and what Python says of work that nobody waited for.
NOISE = ("Traceback", '"cli.', "never awaited", "never retrieved")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path | None]:
    """Provide a separate file system of a few megabytes; None if the test may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = _run("mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder))
    yield folder if mounted else None
    if mounted:
        assert _run("umount", "-l", str(folder))


def _run(*command: str) -> bool:
    program = shutil.which(command[0])
    return (
        program is not None and not subprocess.run([program, *command[1:]], capture_output=True, check=False).returncode
    )


def _full(small: Path) -> Place:
    """Return a place on a full disk, until `mends` makes room."""
    heap = small / "heap"

    def fill() -> None:
        with heap.open("wb", buffering=0) as file, suppress(OSError):
            for size in (65_536, 512, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    return Place(small / "data", fill, lambda: heap.unlink(missing_ok=True))


def _read_only(small: Path) -> Place:
    """Return a place on a read-only disk, until `mends` makes it writable."""

    def remount(how: str) -> None:
        assert _run("mount", "-o", f"remount,{how}", str(small))

    return Place(small / "data", lambda: remount("ro"), lambda: remount("rw"))


def _held(data: Path) -> Place:
    """Return a place whose database another process has locked, until `mends`."""
    held: list[sqlite3.Connection] = []

    def hold() -> None:
        held.append(sqlite3.connect(data / FILE))
        held[0].execute("BEGIN IMMEDIATE")

    return Place(data, hold, lambda: held[0].close())


def _ways(folder: Path, small: Path | None) -> dict[str, tuple[Fault, Place | None]]:
    """Return the failures of the system; if nothing can be mounted, a full disk is only reported to the bot."""
    ways: dict[str, tuple[Fault, Place | None]] = {
        "flush": (Fault(fail="flush", fail_from=60), None),
        "full": (Fault(fail="write", fail_from=60), None),
        "locked": (Fault(), _held(folder / "locked" / "data")),
    }
    if small is not None:
        ways["full"] = (Fault(), _full(small))
    if small is not None and PLACES == "all":  # each costs some seconds
        ways["read-only"] = (Fault(), _read_only(small))
    return ways


async def test_every_disk_failure_ends_the_bot_with_a_message_and_a_restart_continues(
    opening: Opening, tmp_path: Path, small: Path | None
) -> None:
    start, peace = await opening(AWAY)
    wrong: dict[Any, Any] = {}
    for how, (fault, place) in _ways(tmp_path, small).items():
        seen = await perform(start, tmp_path / how, fault, place)
        if (seen.deaths, seen.exits[0]) != (1, 1) or not ends_with_a_word(seen.said):
            wrong[how, "end"] = (seen.exits, seen.said)
        if found := different(peace, seen):
            wrong[how, "after"] = found
        if place is not None and small is not None:
            shutil.rmtree(place.data)
    assert wrong == {}


def ends_with_a_word(said: str) -> bool:
    """Tell whether the output says in words what to do, without anything that only a programmer understands."""
    told = any(like(f"cli.run.{key}").search(said) for key in ("disk", "database"))
    return told and not any(noise in said for noise in NOISE)


async def test_unwritable_keys_end_the_bot_with_a_message(opening: Opening, tmp_path: Path) -> None:
    start, peace = await opening(AWAY, encrypted=True)
    seen = await perform(start, tmp_path / "keys", Fault(fail="keys", fail_from=20))
    assert (seen.deaths, seen.exits[0], different(peace, seen)) == (1, 1, {}), seen.said
    assert ends_with_a_word(seen.said), seen.said
