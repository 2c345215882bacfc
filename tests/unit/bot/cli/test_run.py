"""`answerable run`: one process for each data directory, and how it ends. The homeserver is down.

One test starts the program as a person does; the others fork theirs.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli.run import LOCK_FILE, only_instance, running_pid
from bot.config.database import DATABASE_URL
from tests.postgres.server import Server
from tests.unit.bot.cli.conftest import REPOSITORY, Answerable
from tests.unit.bot.cli.program import DEADLINE_S, Program, ended

RUN = ("run", "--log-format", "json")
WAITS = "homeserver_unreachable"
SECRET = "syt_very_secret"


@pytest.fixture
def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": REPOSITORY, "ANSWERABLE_ACCESS_TOKEN": SECRET}


@pytest.fixture
def running(config_file: Path, environ: dict[str, str]) -> Iterator[Program]:
    """Provide a bot that waits for its homeserver."""
    process = Program(*RUN, folder=config_file.parent, environ=environ)
    try:
        assert WAITS in _lines(process.until_said("\n"))[0]
        yield process
    finally:
        process.kill()


def _lines(said: str) -> list[str]:
    """Return the whole lines that were written."""
    return said.split("\n")[:-1]


class TestWhileRunning:
    def test_a_second_process_is_refused_and_told_the_first(
        self, running: Program, config_file: Path, environ: dict[str, str]
    ) -> None:
        data_dir = config_file.parent / "data"
        code, said = ended(*RUN, folder=config_file.parent, environ=environ)
        assert code == 1
        assert str(running.pid) in said
        assert str(data_dir) in said
        assert "Traceback" not in said
        assert running_pid(data_dir) == str(running.pid)

    def test_its_files_are_closed_to_others(self, running: Program, config_file: Path) -> None:
        data_dir = config_file.parent / "data"
        assert running.poll() is None
        assert all(not path.stat().st_mode & 0o077 for path in (data_dir, *data_dir.iterdir()))


def test_the_remains_of_a_killed_process_do_not_prevent_a_start(running: Program, config_file: Path) -> None:
    data_dir = config_file.parent / "data"
    running.kill()
    running.end()
    assert (data_dir / LOCK_FILE).exists()
    assert running_pid(data_dir) is None
    with only_instance(data_dir):
        assert running_pid(data_dir) == str(os.getpid())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_with_0_and_no_secret_in_its_log(running: Program, number: signal.Signals) -> None:
    running.send(number)
    assert running.end() == 0
    assert SECRET not in running.said


@pytest.mark.usefixtures("config_file")
def test_started_by_its_name_it_ends_with_0_when_asked_to(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bot.cli.main", *RUN]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            process.terminate()
            _, more = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert (WAITS in first, process.returncode, SECRET in first + more) == (True, 0, False)


def test_a_data_directory_that_cannot_be_made_is_refused(answerable: Answerable, config_file: Path) -> None:
    (config_file.parent / "data").write_text("a file")
    result = answerable("run")
    assert result.code == 1
    assert "[bot] data_dir" in result.err


def test_a_webhook_without_a_key_is_refused_before_anything_is_done(answerable: Answerable, config_file: Path) -> None:
    with config_file.open("a") as config:
        config.write('[alerts]\nwebhook = "https://ops.example.org/"\n')
    done = answerable("run")
    assert (done.code, "ANSWERABLE_ALERTS_SECRET" in done.err) == (2, True)
    assert not (config_file.parent / "data").exists()


def test_no_process_runs_where_there_is_no_folder(tmp_path: Path) -> None:
    assert running_pid(tmp_path / "nothing") is None


def test_a_database_that_is_down_is_waited_for_and_said_once(
    config_file: Path, environ: dict[str, str], own_postgres: Server
) -> None:
    url = own_postgres.url().replace("postgres@", "postgres:hush@")
    own_postgres.stop()
    process = Program(*RUN, folder=config_file.parent, environ=environ | {DATABASE_URL: url})
    try:
        process.until_said("\n")
        own_postgres.start()
        first, second, *_ = _lines(process.until_said(WAITS) + "\n")
    finally:
        process.kill()
    assert "database_away" in first
    assert WAITS in second
    assert "hush" not in process.said


def test_a_database_that_no_waiting_helps_ends_it_in_one_line(
    config_file: Path, environ: dict[str, str], postgres_url: str
) -> None:
    wrong = postgres_url.replace("?", "_that_is_not_there?")
    code, said = ended(*RUN, folder=config_file.parent, environ=environ | {DATABASE_URL: wrong})
    assert code == 1
    assert "createdb" in said
    assert "Traceback" not in said
