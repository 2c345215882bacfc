"""The PostgreSQL of the tests: it ends for certain, and a test can do to it what befalls a real one."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from tests.postgres import keeper, programs
from tests.postgres.programs import NoPostgres
from tests.postgres.server import Server, own_server
from tests.postgres.shared import Databases

_USER = """
import os, sys
from pathlib import Path
from tests.postgres.server import Server, used
server = Server(Path(sys.argv[1]))
with used(server):
    print(server.is_running(), flush=True)
    sys.stdin.readline()
"""
ROOT = Path(__file__).parents[2]


def test_each_database_is_new_and_gone_afterwards(postgres: Databases) -> None:
    """A test finds nothing that another one wrote."""
    with postgres.new() as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE here (n bigint)")
    with postgres.new() as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('here')").fetchall() == [(None,)]
        there = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'answerable_test_%'").fetchall()
        mine = [name for (name,) in there if name.split("_")[2] == str(os.getpid()) and not name.endswith("template")]
    assert mine == [urlsplit(url).path.removeprefix("/")]


def test_the_server_ends_with_its_last_user_even_if_these_are_killed() -> None:
    """One user ends, the other one is killed; only then the server is gone, with all that it wrote."""
    with TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        first, second = _user(folder), _user(folder)
        main = keeper.main_process(folder)
        assert main is not None
        first.communicate(b"\n")
        assert main.is_running()
        second.kill()
        second.communicate()
        psutil.wait_procs([main], timeout=60)
        assert not main.is_running()
        keeper.end(folder)  # waits for the one that ends it now
        assert not (folder / keeper.DATA).exists()


def _user(folder: Path) -> "subprocess.Popen[bytes]":
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    user = subprocess.Popen(
        [sys.executable, "-c", _USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    )
    assert user.stdout is not None and user.stdout.readline() == b"True\n"
    return user


def test_what_is_committed_outlives_a_killed_server(own_postgres: Server) -> None:
    """The server recovers by itself at the next start."""
    with psycopg.connect(own_postgres.url()) as connection:
        connection.execute("CREATE TABLE kept (n bigint)")
    with psycopg.connect(own_postgres.url()) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
        connection.commit()
        own_postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    own_postgres.start()
    with psycopg.connect(own_postgres.url()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]


def test_a_paused_server_answers_when_it_goes_on(own_postgres: Server) -> None:
    """Its connections stay; meanwhile each of its processes stands still."""
    with psycopg.connect(own_postgres.url()) as connection:
        own_postgres.pause()
        assert {process.status() for process in keeper.processes(own_postgres.folder)} == {psutil.STATUS_STOPPED}
        own_postgres.resume()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_machine_without_postgresql_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names both ways."""
    monkeypatch.setattr(programs, "_PACKAGE", "no_such_package")
    with (
        pytest.raises(NoPostgres, match=r"install requirements/dev\.txt, or .* ANSWERABLE_TEST_POSTGRES="),
        own_server(),
    ):
        pass


def test_a_server_that_cannot_start_says_why() -> None:
    """Its log is part of the message."""
    server = Server(Path("/" + "x" * 200))
    with pytest.raises(NoPostgres, match="too long for a socket"):
        server.start()
