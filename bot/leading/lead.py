"""The lead of the log on PostgreSQL: taken at the start, kept by a lease, given back at the end.

Without PostgreSQL there is nothing to lead: the claim on the data directory is enough.

Rules kept here:
- A process that holds the claim on its data directory need not wait for a former process of the same directory.
- While another one leads, a start is refused; only a standby waits (`standby.py`).
- Nothing leaves the process for the outside while the lease does not hold (`bot/outside/`): another process may have
  begun to act.
- A lead is of use only where it guards what is sent: elsewhere it gives neither its epoch nor the table of the log,
  without which nothing can be written.
Left to others: what the lead means in the database (`storage/database/fence.py`, `leadership.py`).
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.account.key_files import must_have_key_files
from bot.config.config import Config
from bot.outside import gate
from bot.runtime.managed import managed
from moderation.values.errors import Refused
from storage.database.fence import Epoch, LedElsewhere, Superseded
from storage.database.owners import refuse_foreign
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused, is_of_driver, refusal_of
from storage.database.server import connect as opened
from storage.database.server import driver
from storage.journal import disk
from storage.journal.transparency import log_key

from .able import refuse_unusable
from .away import LOOK_S, Away

if TYPE_CHECKING:
    from psycopg import Connection

    from storage.database.following import Follows
    from storage.database.leadership import Leader, Leadership, Lease
    from storage.journal.postgresql_lines import PostgresLines

INSTANCE = "instance"


class Lead:
    """The lead of this process. Make it with `take`, use it within `guards`, end it with `end`."""

    def __init__(self, place: DatabasePlace, leadership: "Leadership", epoch: Epoch, lease: "Lease") -> None:
        self._epoch = epoch
        self._place = place
        self._leadership = leadership
        self._lease = lease
        lease.start()

    @classmethod
    def take(
        cls, config: Config, lost: Callable[[], object] = lambda: None, *, any_keys: bool = False
    ) -> "Lead | None":
        """Take the lead for a process that holds the claim on the data directory; None without PostgreSQL.

        Blocks for some seconds if the last leader, on another machine, died. `lost` is called when another process
        has taken the lead. Raises `Refused` if one leads, or if this machine has another log, or, unless `any_keys`,
        lacks keys of the deployment.
        """
        if config.place.url is None:
            return None
        with worded(config.place):
            leadership = enrolled(config, any_keys=any_keys)
            leader = leadership.look()
            while not leadership.may_take_over(leader):
                time.sleep(LOOK_S)
                if (now := leadership.look()) != leader:
                    leadership.close()
                    raise LedElsewhere(now.who)
            return cls.over(config.place, leadership, leader, lost)

    @classmethod
    async def waited_for(cls, config: Config, stop: asyncio.Event, lost: Callable[[], object]) -> "Lead | None":
        """Take the lead as soon as the database answers; None if `stop` was set before.

        Raises as `take` does, and `Refused` if the database is unusable for the bot.
        """
        away = Away(config.place)
        while not stop.is_set():
            try:
                with worded(config.place):
                    await asyncio.to_thread(refuse_unusable, config.place)
                return await asyncio.to_thread(cls.take, config, lost)
            except DatabaseRefused as error:
                await away.wait(error, stop)
        return None

    @classmethod
    def over(
        cls, place: DatabasePlace, leadership: "Leadership", leader: "Leader", lost: Callable[[], object]
    ) -> "Lead":
        """Take over from a leader that is gone. Raises `Refused` if another process was faster."""
        from storage.database.leadership import Lease

        epoch = leadership.take_over(leader)
        if epoch is None:
            raise LedElsewhere(leadership.look().who)
        epoch = replace(epoch, lost=lost)
        return cls(place, leadership, epoch, Lease(lambda name: connect(place, name, durable=False), epoch))

    @property
    def epoch(self) -> Epoch:
        """The epoch that it leads. Raises `RuntimeError` in a task that this lead does not guard."""
        if not gate.is_shut_by(self._may_send):
            raise RuntimeError("a lead that does not guard what is sent")
        return self._epoch

    def lines(self) -> "PostgresLines":
        """Return the table of the log, to be written in this epoch. Raises `RuntimeError` as `epoch` does."""
        epoch = self.epoch
        with worded(self._place):
            return lines_of(self._place, epoch.application_name, epoch)

    def guards(self) -> AbstractContextManager[None]:
        """Return the context in which what this task and its tasks send waits while the lease does not hold.

        Once the lead is lost, sending raises `Superseded` there, in a process that goes on at all.
        """
        return gate.shut_by(self._may_send)

    async def _may_send(self) -> None:
        while not self._lease.holds():  # a thread renews it
            if self._lease.is_lost:
                raise Superseded(self._epoch)
            await asyncio.sleep(LOOK_S)

    def standbys(self) -> "tuple[Follows, ...]":
        """Return who follows; nobody if the server cannot be asked."""
        with suppress(Exception):
            return self._leadership.standbys()
        return ()

    def was_lost(self) -> bool:
        """Tell whether another process leads by now; False if the server cannot be asked."""
        with suppress(Exception):
            return not self._leadership.look().is_of(self._epoch)
        return False

    def end(self) -> None:
        """Resign after the last write, so that the next leader need not wait."""
        self._lease.stop()
        with suppress(Exception):  # the server is away: others find out by themselves
            self._leadership.resign(self._epoch)
        self._leadership.close()


def who_leads(place: DatabasePlace) -> "tuple[Leader | None, tuple[Follows, ...]]":
    """Return who leads the log in the database, and who follows; nobody without PostgreSQL, or before the first start.

    Raises `DatabaseRefused`.
    """
    if place.url is None:
        return None, ()
    driver()
    from storage.database.leadership import Leadership, Me

    leadership = Leadership(lambda name: connect(place, name), place.shard, Me("", ""))
    with worded(place):
        try:
            if leadership.vkey() is None:
                return None, ()
            return leadership.look(), leadership.standbys()
        finally:
            leadership.close()


@contextmanager
def leads(config: Config, *, any_keys: bool = False) -> Iterator[Epoch | None]:
    """Lead while a command of the terminal writes and no bot runs; None without PostgreSQL.

    Raises as `take` does, and `Superseded` if another process takes the lead meanwhile.
    """
    lead = Lead.take(config, any_keys=any_keys)
    if lead is None:
        yield None
        return
    try:
        with lead.guards():
            yield lead.epoch
    except Exception as error:  # such as a connection that the new leader has ended
        if lead.was_lost():
            raise Superseded(lead._epoch) from error
        raise
    finally:
        lead.end()


async def leading(config: Config, stack: AsyncExitStack, lead: Lead | None = None) -> Lead | None:
    """Return the lead of this process, taken now unless it has it already; None without PostgreSQL.

    It guards what is sent to the outside as long as `stack` is open. Raises as `take` does.
    """
    if lead is None and config.place.url is not None:
        lead = await managed(stack, partial(Lead.take, config), _ended)
    if lead is not None:
        stack.enter_context(lead.guards())
    return lead


def _ended(lead: Lead | None) -> None:
    if lead is not None:
        lead.end()


def enrolled(config: Config, *, any_keys: bool = False) -> "Leadership":
    """Return the leadership of the log in the database, after checking that it is this deployment's.

    Raises `Refused`, unless `any_keys` also if this machine lacks keys of the deployment.
    """
    driver()
    from storage.database.leadership import Leadership, Me

    place = config.place
    leadership = Leadership(lambda name: connect(place, name), place.shard, Me(_who(), instance_of(config.data_dir)))
    try:
        key_file = config.data_dir / log_key.KEY
        vkey = leadership.vkey()
        if vkey is not None and not key_file.exists():
            raise Refused("cli.run.other_log_key", file=key_file)
        folder = config.data_dir / "records"
        disk.make_folder(folder)
        verifier = log_key.load_or_create(config.data_dir, folder, config.origin).verifier
        leadership.enrol(verifier.name, verifier.text, key_file)
        if not any_keys:
            must_have_key_files(place)
    except BaseException:
        leadership.close()
        raise
    return leadership


def connect(place: DatabasePlace, name: str, *, durable: bool = True) -> "Connection[Any]":
    """Return a connection for the log or the lead, in which a commit is durable unless told otherwise.

    Raises `DatabaseRefused`.
    """
    connection = opened(place, durable=durable, name=name)
    try:
        refuse_foreign(connection, place, place.schema)
    except BaseException:
        connection.close()
        raise
    return connection


def lines_of(place: DatabasePlace, name: str, epoch: Epoch | None = None) -> "PostgresLines":
    """Return the table of the log, to be read or, in an epoch, to be written."""
    from storage.journal.line_mac import LineKey
    from storage.journal.postgresql_lines import PostgresLines

    key = LineKey.derived(log_key.load(place.data_dir).seed, place.shard)
    return PostgresLines(connect(place, name), place.shard, epoch, key)


def instance_of(data_dir: Path) -> str:
    """Return the name that only this data directory has: a copy of it, on this machine or another, gets a new one."""
    path = data_dir / INSTANCE
    with suppress(FileNotFoundError):
        name, _, where = path.read_text("ascii", "replace").strip().partition(" ")
        if where == _where(path):
            return name
        path.unlink()
    with suppress(FileExistsError):
        disk.create_once(path, b"", disk.SECRET_MODE)
    name = secrets.token_hex(8)
    path.write_text(f"{name} {_where(path)}\n", "ascii")  # in place: the file's number is part of it
    disk.sync_directory(data_dir)
    return name


def _where(path: Path) -> str:
    """Return what tells a file from its copies: its machine, its device and its inode."""
    machine = ""
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text("ascii", "replace").strip()
    status = path.stat()
    return f"{machine}:{status.st_dev}:{status.st_ino}"


@contextmanager
def worded(place: DatabasePlace) -> Iterator[None]:
    """Turn an error of the server, also one that a small store raised, into a `Refused` that says what to do."""
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error, place) if is_of_driver(error) or isinstance(error, OSError) else None
        if refusal is None:
            raise
        raise refusal from error


def _who() -> str:
    return socket.gethostname()
