"""The real bot in a process of its own, with a fault at a chosen step.

    python -m tests.long.faults.victim ORDER       the order is JSON; it is forked (`tests/theatre/forked_command.py`)

Rules kept here:
- The bot is the command `answerable run`, started as a person starts it.
- Steps are counted where something becomes durable or leaves the process: a write, a flush, a rename, a commit, a
  request and its answer.
- At the chosen step the process gets SIGKILL, or the system reports a failing disk.
- Its clock is that of the homeserver. If a story sets time forward, all clocks advance together, and the bot reads
  them often.
"""

import errno
import importlib.util
import json
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITES = ("write", "flush", "rename", "link", "commit")  # steps in which a disk can fail


class Steps:
    """Counts steps, logs the name of each, and triggers the fault."""

    def __init__(self, log: Path, kill_at: int, torn: bool, fail: str, fail_from: int) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._kill_at = kill_at
        self.torn = torn
        self.fail = fail
        self.fail_from = fail_from
        self._write = os.write
        self._count = 0
        self.lock = threading.RLock()  # threads write at the same time; one step is the one

    def step(self, name: str) -> None:
        """Count a step that is about to be taken, or was."""
        with self.lock:
            self._count += 1
            self._write(self._log, f"{name}\n".encode())
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        kind = name.split()[0]
        if self.fails(kind):
            code = errno.EIO if kind == "flush" else errno.ENOSPC
            raise OSError(code, os.strerror(code))

    def fails(self, kind: str) -> bool:
        """Tell whether steps of this kind fail by now."""
        return self.fail == kind and self._count >= self.fail_from

    def is_next(self) -> bool:
        """Tell whether the fault comes at the next step."""
        return self._count + 1 == self._kill_at


def beset(steps: Steps) -> None:
    """Count the steps of this process from now on."""
    from sqlalchemy.engine.default import DefaultDialect

    from bot.crypto.store import Store
    from bot.matrix.http import Wire
    from storage.journal import disk

    write = os.write

    def torn_write(handle: int, data: Any) -> int:
        with steps.lock:  # or another thread takes the step, and what was to be torn is written twice
            if steps.torn and steps.is_next():
                write(handle, memoryview(data)[: len(data) // 2])
            steps.step("write")
        return write(handle, data)

    os.write = torn_write
    for name, label in (("fsync", "flush"), ("replace", "rename"), ("rename", "rename"), ("link", "link")):
        setattr(os, name, _counted(steps, label, getattr(os, name)))
    disk._flush = _counted(steps, "flush", disk._flush)
    commit: Callable[[Any, Any], None] = DefaultDialect.do_commit
    exchange = Wire._exchange

    def do_commit(self: Any, connection: Any) -> None:
        steps.step("commit")
        commit(self, connection)
        steps.step("committed")

    async def _exchange(self: Any, ask: Any, *rest: Any) -> Any:
        if ask.segments and ask.segments[0] == "sync":
            return await exchange(self, ask, *rest)
        steps.step(f"request {ask}")
        answer = await exchange(self, ask, *rest)
        steps.step(f"answer {ask}")
        return answer

    transaction = Store._transaction

    def _transaction(self: Any, work: Callable[[Any], Any]) -> Any:
        """Run a transaction of the crypto store, which SQLite itself commits; one that only reads is not a step."""
        wrote = False
        if steps.fails("keys"):
            self._db.execute("PRAGMA query_only = ON")  # SQLite refuses by itself, as where the disk is read-only

        def to_its_end(db: Any) -> Any:
            nonlocal wrote
            file: Any = getattr(db, "_database", None)  # of SQLite; on PostgreSQL each transaction is a step
            before = file.total_changes if file else -1
            result = work(db)
            if wrote := before < 0 or file.total_changes != before:
                steps.step("commit keys")
            return result

        result = transaction(self, to_its_end)
        if wrote:
            steps.step("committed keys")
        return result

    if importlib.util.find_spec("psycopg") is not None:
        _beset_postgresql(steps)
    Store._transaction = _transaction  # type: ignore[method-assign]
    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]
    Wire._exchange = _exchange  # type: ignore[method-assign, assignment]


def _beset_postgresql(steps: Steps) -> None:
    """Count the commits of state tables and small stores, and what is written to the table of the log."""
    from storage.database.psycopg_driver import PostgresqlConnection
    from storage.journal.postgresql_lines import PostgresLines

    commit: Any = PostgresqlConnection.commit

    async def commit_state(self: Any) -> None:
        is_any = not self.is_idle()
        if is_any:
            steps.step("commit")
        await commit(self)
        if is_any:
            steps.step("committed")

    PostgresqlConnection.commit = commit_state  # type: ignore[method-assign]
    for name in ("append", "put_checkpoint", "rewrite", "remove_below", "move_day"):
        setattr(PostgresLines, name, _around(steps, "table", getattr(PostgresLines, name)))


def _around(steps: Steps, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **more: Any) -> Any:
        steps.step(name)
        result = work(*args, **more)
        steps.step(f"{name} written")
        return result

    return counted


def be_ahead(path: Path) -> None:
    """Set the clock of this process ahead by the milliseconds in the file."""
    with path.open("rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    now = time.time_ns
    time.time_ns = lambda: now() + int.from_bytes(ahead[:8], "little", signed=True) * 1_000_000


def go_with_it() -> None:
    """Let the other clocks of this process go with the one that is set forward, and be read often."""
    from bot import app
    from bot.scheduler import scheduler
    from bot.sync import sync_loop
    from tests.fakes.times import Together

    app.TrustedTime = Together  # type: ignore[assignment, attr-defined]
    scheduler.LOOK_AGAIN_MS, sync_loop.LONG_POLL_MS = 200, 300


def _counted(steps: Steps, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **more: Any) -> Any:
        steps.step(name)
        return work(*args, **more)

    return counted


def main() -> None:
    """Be the bot."""
    order = json.loads(sys.argv[1])
    folder = Path(order["folder"])
    fault = (order.get("kill_at", 0), order.get("torn", False), order.get("fail", ""), order.get("fail_from", 0))
    beset(Steps(folder / "steps", *fault))
    be_ahead(Path(order["ahead"]))
    if order["sets_time"]:
        go_with_it()
    from bot.cli.main import run

    run(["run", "--config", str(folder / "config.toml"), "--log-format", "json", *order.get("options", [])])


if __name__ == "__main__":
    main()
