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
_ROW = """
INSERT INTO answerable.outbox (txn, priority, room, action, record, not_before, attempts, queued)
VALUES ('t', 0, '!room', '{}', 1, 0, 0, 0)
"""
ROOT = Path(__file__).parents[2]


def test_each_database_is_new_and_gone_afterwards(postgres: Databases) -> None:
    """A test finds nothing that another one wrote."""
    with postgres.new() as first, psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE here (n bigint)")
    with postgres.new() as second, psycopg.connect(second) as connection:
        assert connection.execute("SELECT to_regclass('here')").fetchall() == [(None,)]
        there = [name for (name,) in connection.execute("SELECT datname FROM pg_database")]
    assert [urlsplit(url).path.removeprefix("/") in there for url in (first, second)] == [False, True]


def test_a_database_with_tables_is_emptied_and_used_again(postgres: Databases) -> None:
    """Rows, numbers, other schemas and open sessions of one test are gone for the next one."""
    with postgres.with_tables() as first:
        left = psycopg.connect(first)
        left.execute("CREATE SCHEMA answerable_other CREATE TABLE there (n bigint)")
        left.execute(_ROW)
        left.commit()
        left.execute("DELETE FROM answerable.outbox")  # in a transaction that never ends
    with postgres.with_tables() as second, psycopg.connect(second) as connection:
        assert second == first
        assert connection.execute("SELECT to_regnamespace('answerable_other')").fetchall() == [(None,)]
        assert connection.execute("SELECT count(*) FROM answerable.outbox").fetchall() == [(0,)]
        assert connection.execute(f"{_ROW} RETURNING id").fetchall() == [(1,)]
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE answerable.outbox ADD COLUMN more bigint",
        "ALTER TABLE answerable.outbox ALTER COLUMN txn DROP NOT NULL",
        "ALTER TABLE answerable.outbox SET UNLOGGED",
        "CREATE INDEX more ON answerable.outbox (record)",
        "CREATE TABLE answerable.more (n bigint)",
        "CREATE FUNCTION public.more() RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
        "DROP TABLE answerable.outbox",
        "GRANT SELECT ON answerable.outbox TO PUBLIC",
        "GRANT USAGE ON SCHEMA answerable TO PUBLIC",
        "TRUNCATE answerable.outbox",
        "ANALYZE answerable.meta",
        "UPDATE answerable.alembic_version SET version_num = '0001'",
        "INSERT INTO answerable.meta SELECT 'k' || n, repeat('x', 100) FROM generate_series(1, 1000) n",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = on', current_database()); END $$",
    ],
)
def test_a_database_that_was_changed_otherwise_is_not_used_again(postgres: Databases, change: str) -> None:
    """The next test has a new one."""
    with postgres.with_tables() as first, psycopg.connect(first, autocommit=True) as connection:
        connection.execute(change)
    with postgres.with_tables() as second:
        assert second != first


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
