"""`answerable policy`: what it needs, one process for each data directory, and what `answerable check` says of it."""

import asyncio
import socket
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bot.cli.check.policy_server import policy_server
from bot.config.config import load_config
from bot.config.policy_server import HEALTH_PATH
from moderation.values.ids import EventId, RoomId
from storage.database.place import FILE
from storage.policy_server.store import KeptAnswer, PolicyStore
from storage.policy_server.tables import FOLDER
from tests.unit.bot.cli.conftest import Answerable, make_database
from tests.unit.bot.cli.program import DEADLINE_S, Program, ended

POLICY = ("policy", "run")


@pytest.fixture
def port(config_file: Path) -> int:
    """Provide a free port for the policy server of the configuration, whose name nobody else has, and its data."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = int(bound.getsockname()[1])
    with config_file.open("a") as file:
        file.write(f'\n[policy_server]\nserver_name = "localhost:{port}"\nlisten = "127.0.0.1:{port}"\n')
    make_database(config_file.parent / "data")
    return port


@pytest.fixture
def removed_note(port: int, config_file: Path) -> Iterator[Path]:
    """Provide the folder of a database whose log still holds a removed note: the first one to write it was killed."""
    data_dir = config_file.parent / "data"
    answer = KeptAnswer(EventId(f"${port}"), "hash", RoomId("!room:example.org"), accepted=False, at_ms=1)
    store = PolicyStore.open(data_dir, 0)

    async def refused_and_recorded() -> None:
        await store.keep(answer, "a purple elephant")
        await store.purge(0, recorded=1)

    asyncio.run(refused_and_recorded())
    yield data_dir / FOLDER
    store.close()


@pytest.fixture
def running(port: int, config_file: Path, environ: dict[str, str]) -> Iterator[Program]:
    """Provide a policy server that serves."""
    process = Program(*POLICY, folder=config_file.parent, environ=environ)
    try:
        ends = time.monotonic() + DEADLINE_S
        while not answers(port):
            assert process.poll() is None and time.monotonic() < ends
            time.sleep(0.05)
        yield process
    finally:
        process.kill()


def answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{HEALTH_PATH}") as answer:
        return bool(answer.status == 200)
    return False


def said(config_file: Path) -> list[str]:
    return [finding.key for finding in policy_server(load_config(config_file, {}))]


def test_without_a_name_or_data_it_says_what_to_do(config_file: Path, answerable: Answerable) -> None:
    assert "[policy_server] server_name" in answerable("policy").err
    assert said(config_file) == []
    with config_file.open("a") as file:
        file.write('\n[policy_server]\nserver_name = "policy.example.org"\n')
    assert "answerable run" in answerable("policy").err
    assert said(config_file) == ["policy_never_run"]


def test_it_serves_alone_and_ends_when_told(running: Program, config_file: Path, environ: dict[str, str]) -> None:
    code, told = ended(*POLICY, folder=config_file.parent, environ=environ)
    assert (code, str(running.pid) in told) == (1, True)
    assert said(config_file) == ["policy_unreachable"]  # without a proxy that has a certificate
    running.terminate()
    assert running.end() == 0
    assert said(config_file) == ["policy_not_running"]


def test_other_rules_than_those_of_the_bot_are_noticed(running: Program, config_file: Path) -> None:
    assert running.poll() is None
    database = config_file.parent / "data" / FILE

    def read_by_bot(text: str) -> None:
        with closing(sqlite3.connect(database)) as tables, tables:
            tables.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('policy', ?)", (text,))

    read_by_bot(load_config(config_file, {}).policy.model_dump_json(by_alias=True))
    assert said(config_file) == ["policy_unreachable"]
    read_by_bot("{}")
    assert said(config_file) == ["policy_other_rules", "policy_unreachable"]


def test_it_says_that_its_address_is_taken(port: int, config_file: Path, environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", port)):
        code, told = ended(*POLICY, folder=config_file.parent, environ=environ)
    assert (code, f"127.0.0.1:{port}" in told) == (1, True)


def test_what_somebody_wrote_is_in_no_file_once_it_was_removed(removed_note: Path, running: Program) -> None:
    def held() -> bool:
        return any(b"elephant" in path.read_bytes() for path in removed_note.iterdir())

    ends = time.monotonic() + DEADLINE_S
    while held():
        assert running.poll() is None and time.monotonic() < ends
        time.sleep(0.05)
