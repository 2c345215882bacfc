"""`answerable console`: a link that opens the pages, and one process for each data directory."""

import re
import socket
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.cli.access.lookup import now_ms
from bot.console.sessions import make_link, use_link
from moderation.values.ids import NO_USER
from storage.database.place import FILE
from tests.fakes.ports import free_port
from tests.unit.bot.cli.conftest import Answerable, make_database
from tests.unit.bot.cli.program import DEADLINE_S, Program, ended

SERVE = ("console", "run")


@pytest.fixture
def port(config_file: Path) -> int:
    """Provide a free port, at which the configuration has the console listen, and a data directory."""
    port = free_port()
    with config_file.open("a") as file:
        file.write(f'\n[console]\nlisten = "127.0.0.1:{port}"\n')
    make_database(config_file.parent / "data")
    return port


@pytest.fixture
def running(port: int, config_file: Path, environ: dict[str, str]) -> Iterator[Program]:
    """Provide a console that serves at `port`."""
    process = Program("console", folder=config_file.parent, environ=environ)
    try:
        process.until_said(f":{port}/enter/")
        yield process
    finally:
        process.kill()


def link_in(said: str) -> str:
    return next(found[0] for line in said.splitlines() if (found := re.search(r"http://\S+", line)))


class TestTheConsole:
    def test_prints_a_link_that_opens_it_and_ends_when_told(
        self, running: Program, port: int, config_file: Path, environ: dict[str, str]
    ) -> None:
        folder = config_file.parent
        link = link_in(running.until_said("\n"))
        assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/enter/[0-9a-f]{{64}}", link)
        with urllib.request.urlopen(link, timeout=DEADLINE_S) as page:
            assert b"Open the console" in page.read()
        code, said = ended("console", folder=folder, environ=environ)
        assert code == 0
        assert re.search(rf"http://127\.0\.0\.1:{port}/enter/[0-9a-f]{{64}}", said), "a link to the same one"
        code, said = ended(*SERVE, folder=folder, environ=environ)
        assert code == 1
        assert str(running.pid) in said
        running.terminate()
        assert running.end() == 0

    def test_reads_no_secret(self, port: int, config_file: Path, environ: dict[str, str]) -> None:
        (config_file.parent / ".env").write_bytes(b"ANSWERABLE_ACCESS_TOKEN=\xff")  # nobody can read it
        with socket.create_server(("127.0.0.1", port)):
            _, said = ended(*SERVE, folder=config_file.parent, environ=environ)
        assert "[console] listen" in said, "it came so far"
        assert ended("status", folder=config_file.parent, environ=environ)[0] == 2

    def test_says_that_its_address_is_taken(self, port: int, config_file: Path, environ: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", port)):
            code, said = ended(*SERVE, folder=config_file.parent, environ=environ)
        assert code == 1
        assert "[console] listen" in said
        assert "Traceback" not in said

    @pytest.mark.usefixtures("config_file")
    def test_without_data_says_what_to_do(self, answerable: Answerable) -> None:
        done = answerable("console", "run")
        assert done.code == 1
        assert "answerable run" in done.err


class TestSessions:
    @pytest.mark.usefixtures("port")
    def test_are_listed_and_ended(self, config_file: Path, answerable: Answerable) -> None:
        data_dir = config_file.parent / "data"
        assert "Nobody is logged in." in answerable("console", "sessions").err + answerable("console", "sessions").out
        for at_ms, name in enumerate(("ann", "bob"), now_ms() - 1_000):
            use_link(data_dir, make_link(data_dir, name, NO_USER, at_ms), at_ms)
        listed = answerable("console", "sessions", "--json").json
        assert [each["by"] for each in listed] == ["ann", "bob"]
        assert answerable("console", "end", "zzz").code == 1
        assert "1 " in answerable("console", "end", listed[0]["session"]).out
        assert [each["by"] for each in answerable("console", "sessions", "--json").json] == ["bob"]
        answerable("console", "end")
        assert answerable("console", "sessions", "--json").json == []

    @pytest.mark.usefixtures("port")
    def test_of_people_are_listed_and_ended_by_the_bot(self, config_file: Path, answerable: Answerable) -> None:
        data_dir, key = config_file.parent / "data", "ab" * 32
        with closing(sqlite3.connect(data_dir / FILE)) as db, db:
            row = (1, key, 2, "@ann:example.org", "!direct", now_ms() - 1_000, now_ms() + 3_600_000, 0)
            db.execute(f"INSERT INTO console_sessions VALUES ({', '.join('?' * len(row))})", row)
        [listed] = answerable("console", "sessions", "--json").json
        assert (listed["session"], listed["by"], listed["user"]) == (key[:8], "", "@ann:example.org")
        assert "1 " in answerable("console", "end", listed["session"]).out
        assert answerable("console", "sessions", "--json").json == []
        [ended] = [each for each in answerable("logs", "show", "--json").out.splitlines() if '"console"' in each]
        assert '"operator"' in ended
