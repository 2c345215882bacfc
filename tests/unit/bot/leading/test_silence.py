"""While the lease of a leader does not hold, nothing leaves its process: from logging in until its end."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.antispam.answers import Antispam
from bot.cli import run
from bot.cli.keys.perform import opened
from bot.config.config import parse_config
from bot.config.database import DATABASE_URL
from bot.leading import lead as module
from bot.leading.lead import Lead, leading, leads
from bot.matrix.login import Session
from bot.matrix.other_servers import post
from bot.monitoring.page import WatchPage
from bot.monitoring.systemd import ServiceManager
from bot.outside import gate
from moderation.values.ids import UserId
from storage.database.fence import Epoch, Superseded
from storage.database.place import DatabasePlace
from tests.fakes.http_stub import Answer, HttpStub

DATABASE = "postgresql://answerable@db.example.org/answerable"


class FakeLease:
    """A lease that does not hold until the test says so; `asked` is set once somebody wanted to know."""

    def __init__(self) -> None:
        self.held = False
        self.is_lost = False
        self.asked = threading.Event()

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def holds(self) -> bool:
        self.asked.set()
        return self.held


class FakeMachine:
    """Keys that nobody uses here."""

    async def close(self) -> None:
        """End."""


class FakeLeadership:
    """A part that nobody looks at here."""

    def resign(self, epoch: Epoch) -> None:
        """Say nothing."""

    def close(self) -> None:
        """End."""


def lead_of(lease: FakeLease) -> Lead:
    place = DatabasePlace(Path("/nowhere"), SecretStr(DATABASE))
    return Lead(place, FakeLeadership(), Epoch("", 7, "token"), lease)  # type: ignore[arg-type]


async def held_back(lease: FakeLease, sends: "asyncio.Task[object]", arrived: Callable[[], int]) -> None:
    """Check that what is sent waits for the lease, and goes as soon as it holds."""
    assert await asyncio.to_thread(lease.asked.wait, 30)
    assert arrived() == 0
    lease.held = True
    await asyncio.wait_for(sends, 120)
    assert arrived() > 0


async def test_a_running_bot_sends_nothing() -> None:
    """`serve` and the commands that open its stores lead like this."""
    lease = FakeLease()
    config = parse_config(Path("/nowhere/config.toml"), head("http://127.0.0.1:1"), {})
    async with HttpStub() as stub, AsyncExitStack() as stack:
        stub.will(Answer())
        await leading(config, stack, lead_of(lease))
        await held_back(lease, asyncio.create_task(post(stub.url, b"", "text/plain")), lambda: len(stub.requests))


async def test_after_the_end_of_a_lead_nothing_waits() -> None:
    config = parse_config(Path("/nowhere/config.toml"), head("http://127.0.0.1:1"), {})
    async with AsyncExitStack() as stack:
        await leading(config, stack, lead_of(FakeLease()))
    await asyncio.wait_for(gate.may_send(), 120)


async def test_a_start_does_not_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log-in with the device of the account could end the session that the next leader uses."""
    lease, ends = FakeLease(), asyncio.Event()

    async def taken(*_: object) -> Lead:
        return lead_of(lease)

    async def serve(*_: object, **__: object) -> None:
        """End at once."""

    monkeypatch.setattr(Lead, "waited_for", taken)
    monkeypatch.setattr("bot.app.serve", serve)
    monkeypatch.setattr("bot.cli.session.keep_session", lambda *_: None)
    async with HttpStub() as stub:
        made = {"user_id": "@answerable:example.org", "device_id": "D", "access_token": "t"}
        stub.will(Answer(json=made))
        file = tmp_path / "config.toml"
        config = parse_config(file, head(stub.url), {"ANSWERABLE_PASSWORD": "pw"})
        runs = asyncio.create_task(
            run._serve_if_leading(config, ends, ServiceManager(None, None), WatchPage(None), standby=False)
        )
        await held_back(lease, runs, lambda: len(stub.requests))


async def test_a_command_of_the_terminal_that_leads_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = FakeLease()
    monkeypatch.setattr(module.Lead, "take", lambda *_, **__: lead_of(lease))
    config = parse_config(Path("/nowhere/config.toml"), head("http://127.0.0.1:1"), {})
    async with HttpStub() as stub:
        stub.will(Answer())
        with leads(config):
            sends = asyncio.create_task(post(stub.url, b"", "text/plain"))
        await held_back(lease, sends, lambda: len(stub.requests))


async def test_a_command_for_keys_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def machine(*_: object, **__: object) -> FakeMachine:
        return FakeMachine()

    lease = FakeLease()
    monkeypatch.setattr(module.Lead, "take", lambda *_, **__: lead_of(lease))
    monkeypatch.setattr("bot.encryption.service.open_machine", machine)
    config = parse_config(tmp_path / "config.toml", head("http://127.0.0.1:1"), {DATABASE_URL: DATABASE})
    async with HttpStub() as stub:
        stub.will(Answer())
        async with opened(config, Session(stub.url, UserId("@answerable:example.org"), "DEVICE", "token")):
            sends = asyncio.create_task(post(stub.url, b"", "text/plain"))
            await held_back(lease, sends, lambda: len(stub.requests))


def test_a_lead_that_guards_nothing_is_of_no_use() -> None:
    """Without an epoch nothing can be written, so nobody can take a lead and forget to guard what is sent."""
    lead, other = lead_of(FakeLease()), lead_of(FakeLease())
    for unguarded in (lambda: lead.epoch, lead.lines):
        with pytest.raises(RuntimeError):
            unguarded()
        with other.guards(), pytest.raises(RuntimeError):
            unguarded()
    with lead.guards():
        assert lead.epoch.number == 7
    with pytest.raises(RuntimeError):
        _ = lead.epoch


async def test_a_command_that_lost_the_lead_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = FakeLease()
    monkeypatch.setattr(module.Lead, "take", lambda *_, **__: lead_of(lease))
    config = parse_config(Path("/nowhere/config.toml"), head("http://127.0.0.1:1"), {})
    async with HttpStub() as stub:
        with pytest.raises(Superseded), leads(config):
            sends = asyncio.create_task(post(stub.url, b"", "text/plain"))
            assert await asyncio.to_thread(lease.asked.wait, 30)
            lease.is_lost = True
            await asyncio.wait_for(sends, 120)
        assert stub.requests == []


async def test_synapse_is_not_answered() -> None:
    lease, answered = FakeLease(), []

    async def answer() -> None:
        antispam = Antispam(None, None, None, None, None)  # type: ignore[arg-type] # a ping asks none of them
        answered.append(await antispam.answer("ping", b'{"id": "1"}', 0))

    with lead_of(lease).guards():
        answers = asyncio.create_task(answer())
    await held_back(lease, answers, lambda: len(answered))


def head(url: str) -> str:
    return f'[homeserver]\nurl = "{url}"\nuser = "@answerable:example.org"\n'
