"""Rows that a leader and a standby write to say that they are alive, and which databases they leave alone."""

import asyncio
import threading
import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.cli.terminal.output import LED_ELSEWHERE, report, text
from bot.config.config import Config, parse_config
from bot.config.database import DATABASE_URL
from bot.encryption.service import open_machine
from bot.leading.lead import Lead, connect, leading, leads
from bot.leading.standby import Standby
from bot.matrix.http import Wire
from bot.matrix.login import Session
from bot.monitoring.systemd import ServiceManager
from bot.outside import gate
from bot.startup import open_stores
from moderation.values.ids import UserId
from storage.database.fence import Superseded
from storage.database.leadership import Leadership, Me
from storage.database.moved import Move, note_move
from storage.database.refusals import DatabaseRefused
from tests.postgres.durability import watch_durability

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'


@pytest.fixture
def config(postgres_url: str, tmp_path: Path) -> Config:
    (tmp_path / "data").mkdir()
    return parse_config(tmp_path / "config.toml", HEAD, {DATABASE_URL: postgres_url})


def nothing() -> None:
    """Do nothing."""


def test_the_beats_of_a_leader_wait_for_no_disk(config: Config, postgres_url: str) -> None:
    lead = Lead.take(config)
    assert lead is not None
    try:
        with psycopg.connect(postgres_url, autocommit=True) as db:
            durability = watch_durability(db, "leaders")
            until(lambda: durability() != set())
            assert durability() == {"off"}
    finally:
        lead.end()


async def test_a_standby_leaves_a_database_alone_that_the_deployment_was_moved_away_from(
    config: Config, postgres_url: str
) -> None:
    note_moved(config, postgres_url)
    with pytest.raises(DatabaseRefused) as refused:
        await Standby(config, nothing).until_leading(asyncio.Event(), ServiceManager(None, None))
    assert refused.value.key == "database.moved_to_files"
    with psycopg.connect(postgres_url) as db:
        assert db.execute("SELECT to_regclass('answerable_shared.shards')::text").fetchone() == (None,)


async def test_a_standby_does_not_take_the_lead_of_a_database_that_was_moved_away_from_while_it_followed(
    config: Config, postgres_url: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    leading = Lead.take(config)
    assert leading is not None
    try:
        for file in (config.data_dir / "keys").iterdir():
            (other / "data" / "keys").mkdir(mode=0o700, exist_ok=True)
            (other / "data" / "keys" / file.name).write_bytes(file.read_bytes())
        standby = Standby(parse_config(other / "config.toml", HEAD, {DATABASE_URL: postgres_url}), nothing)
        follows = asyncio.create_task(standby.until_leading(asyncio.Event(), ServiceManager(None, None)))
        await asyncio.to_thread(until, lambda: leading.standbys() != ())
        note_moved(config, postgres_url)
    finally:
        leading.end()
    with pytest.raises(DatabaseRefused) as refused:
        await asyncio.wait_for(follows, 120)
    assert refused.value.key == "database.moved_to_files"
    with psycopg.connect(postgres_url) as db:
        assert db.execute("SELECT epoch FROM answerable_shared.shards").fetchone() == (1,)


async def test_a_command_that_lost_the_lead_ends_with_one_line(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    async def sends() -> None:
        while True:
            await gate.may_send()
            await asyncio.sleep(0.05)

    with pytest.raises(Superseded) as ended, leads(config):
        sending = asyncio.create_task(sends())
        await asyncio.to_thread(taken_by_another, config)
        await asyncio.wait_for(sending, 120)
    assert report(ended.value) == LED_ELSEWHERE
    assert capsys.readouterr().err == text("cli.error.superseded") + "\n"


def test_what_fails_because_the_lead_was_lost_says_so(config: Config) -> None:
    with pytest.raises(Superseded), leads(config):
        taken_by_another(config)
        raise OSError("the connection was closed")
    with pytest.raises(OSError, match="the disk is full"), leads(config):
        raise OSError("the disk is full")


async def test_no_start_waits_for_the_server_on_the_event_loop(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_loop: list[str] = []
    whole = psycopg.connect

    def connect(*given: Any, **named: Any) -> Any:
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            on_the_loop.append("".join(traceback.format_stack(limit=6)))
        return whole(*given, **named)

    monkeypatch.setattr(psycopg, "connect", connect)
    for _ in range(2):  # the second finds everything
        async with AsyncExitStack() as stack:
            lead = await leading(config, stack)
            await open_stores(config, stack, lambda: 1_795_521_600_000, lead)
            session = Session("http://127.0.0.1:1", UserId("@answerable:example.org"), "DEVICE", "token")
            wire = Wire(session.url)
            machine = await open_machine(config.place, session, wire, lambda: 0, epoch=lead.epoch if lead else None)
            await machine.close()
    assert on_the_loop == []


def taken_by_another(config: Config) -> None:
    other = Leadership(lambda name: connect(config.place, name), config.place.shard, Me("other.example.org", "2" * 16))
    try:
        assert other.take_over(other.look()) is not None
    finally:
        other.close()


def note_moved(config: Config, url: str) -> None:
    with psycopg.connect(url) as db:
        note_move(db, config.place, Move("out", "id", 1))


def until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    while not true():
        waiting.wait(0.05)
