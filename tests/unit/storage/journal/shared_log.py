"""Machines that share one log on a PostgreSQL server of the tests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from moderation.values.ids import PersonId
from storage.database.fence import Epoch
from storage.database.leadership import Leadership, Me
from storage.database.place import DatabasePlace
from storage.journal.days import DayLines
from storage.journal.follower import Follower
from storage.journal.journal import Journal
from storage.journal.level import check, follow
from storage.journal.line_mac import LineKey
from storage.journal.postgresql_lines import PostgresLines
from storage.journal.record import NOBODY, Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.journal.recover import recover
from storage.journal.transparency import log_key
from storage.journal.transparency.log_key import read_verifier

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
SHARD = "north"


class Machines:
    """A database, and the machines that use it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self._open: list[PostgresLines] = []
        self._keys: list[PersonKeys] = []
        self.db = self.connect("test")
        self._leadership = Leadership(self.connect, SHARD, Me("test", "test"))
        self._leadership.enrol("example.org/log", "vkey", Path("log.key"))

    def connect(self, name: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.url, autocommit=True, application_name=name)

    def new_epoch(self) -> Epoch:
        """Begin an epoch, as a new leader does."""
        epoch = self._leadership.take_over(self._leadership.look())
        assert epoch is not None
        return epoch

    def table(self, epoch: Epoch | None = None) -> PostgresLines:
        found = next(self.folder.glob("*/keys/log.key"), None)
        seed = log_key.load(found.parent.parent).seed if found else bytes(32)
        self._open.append(PostgresLines(self.connect("table"), SHARD, epoch, LineKey.derived(seed, SHARD)))
        return self._open[-1]

    def machine(self, name: str) -> "Machine":
        return Machine(self, self.folder / name)

    def keys_of(self, data_dir: Path) -> PersonKeys:
        self._keys.append(PersonKeys.open(DatabasePlace(data_dir)))
        return self._keys[-1]

    def lines(self) -> list[bytes]:
        """Return the lines in the table."""
        return [each.line for each in self.table().read(0, 10**6)]

    def close(self) -> None:
        closing: list[Any] = [*self._open, *self._keys, self._leadership, self.db]
        for each in closing:
            each.close()


class Machine:
    """One machine's data directory."""

    def __init__(self, machines: Machines, data_dir: Path) -> None:
        self.machines = machines
        self.data_dir = data_dir
        self.folder = data_dir / "records"

    @contextmanager
    def leads(self, now_ms: int = NOON, epoch: Epoch | None = None) -> Iterator[Journal]:
        """Open the log as the leader of a new epoch, and release it without signing at the end."""
        self._prepare()
        table = self.machines.table(epoch or self.machines.new_epoch())
        keys = self.machines.keys_of(self.data_dir)
        with Journal.open(self.data_dir, "example.org/log", keys, now_ms, table=table) as journal:
            yield journal

    def follower(self) -> Follower:
        """Return what follows the table into the files of this machine."""
        self._prepare()
        for name in ("day", "tile", "checkpoints"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        verifier, table = read_verifier(self.folder), self.machines.table()
        state = recover(self.folder, verifier)
        check(self.folder, verifier, table, state)
        return Follower(self.folder, verifier, table, state)

    def follows(self) -> None:
        """Take all that the table has."""
        follower = self.follower()
        follower.finish_declared()
        follow(follower)

    def copy(self, name: str) -> "Machine":
        """Return a machine with the files as they are now: those of this one, if it lost power."""
        other = self.machines.machine(name)
        shutil.copytree(self.data_dir, other.data_dir)
        return other

    def files(self, *, packed: bool = False) -> dict[str, bytes]:
        """Return all files of the records; closed days as their text, unless `packed`: erasing packs them again."""
        files = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        return {
            name: path.read_bytes() if packed or path.suffix != ".zst" else b"\n".join(DayLines(path).each())
            for name, path in files.items()
        }

    def _prepare(self) -> None:
        """Copy the keys from the machine that has them, as an operator does."""
        for name in ("keys/log.key", "records/log.vkey"):
            source = next((path for path in self.machines.folder.glob(f"*/{name}")), None)
            if source and not (self.data_dir / name).exists():
                (self.data_dir / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, self.data_dir / name)
        self.folder.mkdir(parents=True, exist_ok=True)
        log_key.load_or_create(self.data_dir, self.folder, "example.org/log")


def said(text: str, at_ms: int = NOON) -> Draft:
    data: dict[str, Any] = {"mxid": "@anna:example.org", "ev": "$" + "e" * 43, "ts": at_ms - 5, "body": text}
    return Draft("message", at_ms, "G-7F3K", parts=(Part(PersonId("@anna:example.org"), data),))


def erasing(targets: Any, at_ms: int = NOON) -> Draft:
    parts = (Part(NOBODY, {"records": targets.text}),)
    return Draft("erase", at_ms, fields={"parts": targets.count, "what": "request"}, parts=parts)


def stopped(at_ms: int = NOON) -> Draft:
    return Draft("stop", at_ms, fields={"sealed": 1})
