"""A PostgreSQL server of the tests, in a folder of its own, reached by a socket there.

Rules kept here:
- It ends with the last process that uses it, however that ends (`keeper.py`).
- Nothing waits for the disk unless `durable`: no test cuts the power. What is committed outlives a killed server.

Left to others: the one server that all tests share, and databases (`shared.py`).
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp

import psutil
import psycopg

from tests.postgres import keeper
from tests.postgres.programs import NoPostgres, Programs

USER = "postgres"
_WITHIN_S = 120.0
_LOOK_S = 0.01
_LONGEST = 107 - len("/.s.PGSQL.5432.lock")  # bytes of a folder with a socket
_QUICK = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0"}
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "dynamic_shared_memory_type": "mmap",  # in its folder, and gone with it
    "autovacuum": "off",
    "timezone": "Asia/Kathmandu",  # whatever depends on it should show
    "log_checkpoints": "off",
}


class Server:
    """A server that a test may stop, kill, pause and start again."""

    def __init__(self, folder: Path, *, durable: bool = False, settings: dict[str, str] | None = None) -> None:
        """Describe the server in `folder`; `settings` are more of those in postgresql.conf."""
        self.folder = folder
        self._programs = Programs(folder)
        self._started: list[subprocess.Popen[bytes]] = []  # held: one that is forgotten while it runs is warned of
        self._settings = _SETTINGS | ({} if durable else _QUICK) | (settings or {})

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    @property
    def log(self) -> str:
        """Return what the server has logged."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def is_running(self) -> bool:
        """Tell whether the server runs; a paused one does."""
        return keeper.main_process(self.folder) is not None

    def start(self) -> None:
        """Start the server, made first if it is new, and wait until it answers. Raises `NoPostgres` if it cannot."""
        if len(str(self.folder)) > _LONGEST:
            raise NoPostgres(f"too long for a socket: {self.folder}")
        self._programs.prepare()
        data = self.folder / keeper.DATA
        if not (data / "PG_VERSION").exists():
            how = ("-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
            self._programs.run("initdb", "-D", str(data), "-U", USER, *how)
        given = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            started = self._programs.start(
                "postgres", "-D", str(data), "-k", str(self.folder), *given, stdout=log, stderr=log
            )
        self._started.append(started)
        self._wait(started)

    def watch(self) -> None:
        """Start the process that ends the server when nobody uses it."""
        command = [sys.executable, "-I", keeper.__file__, str(self.folder)]
        away = subprocess.DEVNULL
        self._started.append(subprocess.Popen(command, stdin=away, stdout=away, stderr=away, start_new_session=True))

    def stop(self) -> None:
        """End the server as an administrator does (`pg_ctl stop -m fast`): connections are closed, nothing is lost."""
        if first := keeper.main_process(self.folder):
            first.send_signal(signal.SIGINT)
            first.wait(_WITHIN_S)

    def kill(self) -> None:
        """End the server at once, as if its machine stopped. It recovers at the next start."""
        keeper.kill(self.folder)

    def restart(self) -> None:
        """Stop the server and start it again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let the server answer nothing, without closing a connection, until `resume`."""
        while any(process.status() != psutil.STATUS_STOPPED for process in keeper.processes(self.folder)):
            self._send(signal.SIGSTOP)  # again: a process may have begun another one
            time.sleep(_LOOK_S)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._send(signal.SIGCONT)

    def _send(self, what: signal.Signals) -> None:
        for process in keeper.processes(self.folder):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(what)

    def _wait(self, started: "subprocess.Popen[bytes]") -> None:
        until = time.monotonic() + _WITHIN_S
        while started.poll() is None and time.monotonic() < until:
            try:
                psycopg.connect(self.url(), connect_timeout=10).close()
            except psycopg.OperationalError:
                time.sleep(_LOOK_S)
            else:
                return
        raise NoPostgres(f"PostgreSQL did not start: {self.log[-2000:]}")


@contextmanager
def used(server: Server) -> Iterator[None]:
    """Let this process use a server, and end it when no other one does; a server that does not run is started."""
    server.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with keeper.hold(server.folder):
        if not server.is_running():
            server.watch()
            server.start()
        yield


@contextmanager
def own_server(*, durable: bool = False, settings: dict[str, str] | None = None) -> Iterator[Server]:
    """Run a server for one test, which may do to it what it likes; `durable`: it waits for the disk."""
    server = Server(Path(mkdtemp(prefix="postgres-", dir=gettempdir())), durable=durable, settings=settings)
    try:
        with used(server):
            yield server
            server.resume()
            server.stop()
    finally:
        keeper.end(server.folder)
        shutil.rmtree(server.folder, ignore_errors=True)
