"""`answerable run`: the process around the bot.

Rules kept here:
- There is one process for a data directory.
- SIGTERM and SIGINT ask the bot to stop, and the exit code is then 0; a second signal ends it at once.
- A homeserver or a database that is not up yet is waited for.
- No file made by this process is readable by other users.
- Logs go to stderr and hold no secret.
- When the disk or the database fails the bot ends, says so, and goes on at its next start.
- On PostgreSQL nothing is done before this process has the lead, and it ends at once when it has lost it.

Left to others: what the bot does (`bot/app.py`), the session (`session.py`).
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Coroutine, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bot.runtime.works import end, meanwhile
from moderation.values.errors import AnswerableError, Invalid, Refused

from .terminal.disk_errors import told_if_disk_fails
from .terminal.options import DEFAULT_CONFIG, ConfigFile, new_app, read_config
from .terminal.output import FAILED, LED_ELSEWHERE, text, words_of

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.leading.lead import Lead
    from bot.matrix.login import Session
    from bot.monitoring.page import WatchPage
    from bot.monitoring.systemd import ServiceManager

LOCK_FILE = "lock"
_LONGEST_WAIT_S = 60.0


LogFormat = Literal["auto", "json", "console"]

app = new_app("cli.run.help")


@app.command(help=text("cli.run.help"), epilog=text("cli.run.epilog"))
def run(
    config_file: ConfigFile = DEFAULT_CONFIG,
    log_format: Annotated[LogFormat, typer.Option(help=text("cli.run.log_format"))] = "auto",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help=text("cli.run.verbose"))] = False,
    standby: Annotated[bool, typer.Option("--standby", help=text("cli.run.standby"))] = False,
) -> None:
    """Run the bot until it is told to stop."""
    from .terminal.logging_setup import set_up_logging

    config = read_config(config_file)
    if standby and config.place.url is None:
        raise Refused("cli.run.standby_alone")
    if config.shard and config.place.url is None:
        raise Refused("cli.run.shard_alone")
    _must_sign_alerts(config)
    make_data_dir(config.data_dir)
    with told_if_disk_fails(config.place), only_instance(config.data_dir):
        how = config.bot.log if log_format == "auto" else log_format
        set_up_logging(as_json=None if how == "auto" else how == "json", verbose=verbose)
        _close_to_others(config.data_dir)
        _say_new_names(config.old_names)
        asyncio.run(_logged(config, standby=standby))


def _must_sign_alerts(config: "Config") -> None:
    """Raise `Invalid` if alerts could not be signed, before anything is waited for."""
    from bot.config.alerts import signing_key

    if config.alerts.webhook:
        try:
            signing_key(config.secrets.alerts)
        except Refused as error:
            raise Invalid(words_of(error)) from None


def _close_to_others(data_dir: Path) -> None:
    """Correct modes that somebody made too wide, and log it, since others may have read those files."""
    import structlog

    from storage.file_modes import close

    try:
        opened = close(data_dir)
    except PermissionError as error:
        raise Refused("cli.run.open", file=error.filename) from None
    for path in opened:
        structlog.get_logger().warning("was_open_to_others", file=str(path))


def _say_new_names(old_names: Iterable[str]) -> None:
    """Log the tables of the configuration that have a new name."""
    import structlog

    from bot.config.renamed import RENAMED

    for old in old_names:
        structlog.get_logger().warning("setting_renamed", old=old, new=RENAMED[old])


def make_data_dir(data_dir: Path) -> None:
    """Make the data directory, for its owner only. Raises `Refused` if that fails."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused("cli.run.no_data_dir", data_dir=data_dir, why=error.strerror or error) from None


def drop_root(data_dir: Path) -> None:
    """Become the owner of the data if this is root: what faces other machines need not be able to read everything."""
    owner = data_dir.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


@contextlib.contextmanager
def only_instance(data_dir: Path, refusal: str = "cli.run.second") -> Iterator[None]:
    """Hold the data directory for this process. Raises `Refused`, in the words of `refusal`, if another one has it.

    The lock is the system's, not the file's existence: it ends with the process, however that ends, and a leftover file
    means nothing. The file is never removed, or two processes could hold two locks.
    """
    handle = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(handle, 32).decode("ascii", "replace").strip() or "?"
            raise Refused(refusal, data_dir=data_dir, pid=pid) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def running_pid(data_dir: Path) -> str | None:
    """Return the process that runs on this data directory now, if there is one."""
    try:
        handle = os.open(data_dir / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(handle, 32).decode("ascii", "replace").strip() or "?"
    finally:
        os.close(handle)
    return None


async def _logged(config: "Config", *, standby: bool) -> None:
    """Run, and log what ends the bot as one line; an unforeseen error is not printed a second time."""
    import structlog

    try:
        with told_if_disk_fails(config.place):
            await _run(config, standby=standby)
    except AnswerableError as error:
        structlog.get_logger().error("ended", why=words_of(error))
        raise
    except Exception:
        structlog.get_logger().exception("ended_unexpectedly")
        sys.exit(FAILED)


async def _run(config: "Config", *, standby: bool) -> None:
    from bot.monitoring.page import WatchPage
    from bot.monitoring.systemd import ServiceManager

    stop, manager, page = asyncio.Event(), ServiceManager.of(), WatchPage(config.watch.listen)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _asked, stop, number)
    async with page.served():
        if config.place.url is None:
            await _serve(config, stop, manager, page)
        else:
            await _serve_if_leading(config, stop, manager, page, standby=standby)


async def _serve_if_leading(
    config: "Config", stop: asyncio.Event, manager: "ServiceManager", page: "WatchPage", *, standby: bool
) -> None:
    """Take the lead, or wait for it as a standby; then serve until told to stop."""
    from bot.admin.standing_by import standing_by
    from bot.leading.lead import Lead
    from bot.leading.standby import Standby

    alive = asyncio.create_task(manager.alive()) if standby else None
    if standby:
        await asyncio.to_thread(_load_all)
        follows = Standby(config, _superseded)
        with page.showing(follows.report):
            async with meanwhile(standing_by(config.data_dir).run()):  # tells those who ask that it only stands by
                lead = await follows.until_leading(stop, manager)
    else:
        lead = await Lead.waited_for(config, stop, _superseded)
    if lead is None:  # told to stop
        return
    try:
        with lead.guards():
            await _serve(config, stop, manager, page, lead, alive)
    except Exception:  # such as a connection that the new leader has ended
        if await asyncio.to_thread(lead.was_lost):
            _superseded()
        raise
    finally:
        await asyncio.to_thread(lead.end)


def _load_all() -> None:
    """Load the program whole: a standby takes over sooner, and not with parts that were updated meanwhile."""
    from storage.database.schemas import schemas

    import_module("bot.app")
    import_module("bot.cli.session")
    schemas()


def _superseded() -> None:
    """End this process at once: another one leads, and whatever is done from here on is done twice.

    A standby that the service manager starts again then follows the new leader.
    """
    import structlog

    structlog.get_logger().error("superseded", why=text("cli.run.superseded"))
    os._exit(LED_ELSEWHERE)


async def _serve(
    config: "Config",
    stop: asyncio.Event,
    manager: "ServiceManager",
    page: "WatchPage",
    lead: "Lead | None" = None,
    alive: "asyncio.Task[None] | None" = None,
) -> None:
    from bot.monitoring.report import starting_to_lead

    with page.showing(starting_to_lead):
        session = await _session(config, stop, lead)
        if session is not None:
            from bot.app import serve

            if alive is not None:
                alive.cancel()
            await serve(config, session, stop, manager=manager, lead=lead, page=page)


def _asked(stop: asyncio.Event, number: int) -> None:
    """Handle the first signal by asking the bot to stop; a second one ends it at once, as the system does."""
    stop.set()
    asyncio.get_running_loop().remove_signal_handler(number)
    signal.signal(number, signal.SIG_DFL)


async def _session(config: "Config", stop: asyncio.Event, lead: "Lead | None") -> "Session | None":
    """Open the session, waiting for the homeserver as long as it takes; None if told to stop meanwhile."""
    import structlog

    from bot.matrix.errors import RateLimited, Unreachable

    from .session import open_session

    log, wait_s = structlog.get_logger(), 1.0
    while not stop.is_set():
        try:
            return await _unless(stop, open_session(config, lead.epoch if lead is not None else None))
        except RateLimited as error:
            wait_s = error.retry_after_ms / 1000
        except Unreachable as error:
            log.warning("homeserver_unreachable", detail=str(error), retry_in_s=wait_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
    return None


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, "Session"]) -> "Session | None":
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await end((task, stopped))
