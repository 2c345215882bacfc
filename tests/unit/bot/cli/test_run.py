"""`answerable run`: one process for each data directory, and how it ends. Real processes; the homeserver is down."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli.run import LOCK_FILE, only_instance, running_pid
from bot.config.database import DATABASE_URL
from tests.postgres.server import Server
from tests.unit.bot.cli.conftest import Answerable

RUN = [sys.executable, "-m", "bot.cli.main", "run", "--log-format", "json"]
REPOSITORY = str(Path(__file__).parents[4])
DEADLINE_S = 300.0


@pytest.fixture
def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": REPOSITORY, "ANSWERABLE_ACCESS_TOKEN": "syt_very_secret"}


@pytest.fixture
def running(config_file: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Provide a bot that waits for its homeserver."""
    with subprocess.Popen(RUN, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "homeserver_unreachable" in _first_line(process)
            yield process
        finally:
            process.kill()


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        assert selector.select(DEADLINE_S)
    return process.stderr.readline()


class TestWhileRunning:
    def test_a_second_process_is_refused_and_told_the_first(
        self, running: subprocess.Popen[str], config_file: Path, environ: dict[str, str]
    ) -> None:
        data_dir = config_file.parent / "data"
        second = subprocess.run(RUN, env=environ, capture_output=True, text=True, timeout=DEADLINE_S)
        assert second.returncode == 1
        assert str(running.pid) in second.stderr
        assert str(data_dir) in second.stderr
        assert "Traceback" not in second.stderr
        assert running_pid(data_dir) == str(running.pid)

    def test_its_files_are_closed_to_others(self, running: subprocess.Popen[str], config_file: Path) -> None:
        data_dir = config_file.parent / "data"
        assert running.poll() is None
        assert all(not path.stat().st_mode & 0o077 for path in (data_dir, *data_dir.iterdir()))


def test_the_remains_of_a_killed_process_do_not_prevent_a_start(
    running: subprocess.Popen[str], config_file: Path
) -> None:
    data_dir = config_file.parent / "data"
    running.kill()
    running.wait(DEADLINE_S)
    assert (data_dir / LOCK_FILE).exists()
    assert running_pid(data_dir) is None
    with only_instance(data_dir):
        assert running_pid(data_dir) == str(os.getpid())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_with_0_and_no_secret_in_its_log(
    running: subprocess.Popen[str], number: signal.Signals
) -> None:
    running.send_signal(number)
    _, err = running.communicate(timeout=DEADLINE_S)
    assert running.returncode == 0
    assert "syt_very_secret" not in err


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
    with subprocess.Popen(RUN, env=environ | {DATABASE_URL: url}, stderr=subprocess.PIPE, text=True) as process:
        try:
            waits = _first_line(process)
            own_postgres.start()
            then = _first_line(process)
        finally:
            process.kill()
    assert "database_away" in waits
    assert "homeserver_unreachable" in then
    assert "hush" not in waits + then


def test_a_database_that_no_waiting_helps_ends_it_in_one_line(
    config_file: Path, environ: dict[str, str], postgres_url: str
) -> None:
    wrong = postgres_url.replace("?", "_that_is_not_there?")
    done = subprocess.run(
        RUN, env=environ | {DATABASE_URL: wrong}, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 1
    assert "createdb" in done.stderr
    assert "Traceback" not in done.stderr
