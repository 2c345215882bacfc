"""Whatever leaves the process waits at the gate: in every way out, also if the gate shuts while it connects."""

import ast
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from email.message import EmailMessage
from pathlib import Path

import pytest

from bot.config.verification import EmailSettings
from bot.federation.connections import Connections, Destination, tls_context
from bot.identity.mailer import Mailer
from bot.identity.method import Unavailable
from bot.matrix.http import Ask, Wire
from bot.matrix.login import log_in_with_password
from bot.matrix.other_servers import get, post
from bot.outside import gate
from bot.plugins.protocol import labels_for
from tests.fakes.certificate import certificate_for, shown_by
from tests.fakes.http_stub import Answer, HttpStub
from tests.fakes.mail_server import mail_server
from tests.fakes.plugin import plugin, says
from tests.sources import Source, Sources

TO = "ann@example.org"


class Gate:
    """A gate that lets so many through and then shuts; `asked` is set when somebody waits."""

    def __init__(self, lets: int = 0) -> None:
        self._lets = lets
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def may_send(self) -> None:
        if self._lets > 0:
            self._lets -= 1
            return
        self.asked.set()
        await self.open.wait()


class Way:
    """A way out: `send` sends something, and `arrived` counts what the other side got."""

    def __init__(self, send: Callable[[], Awaitable[object]], arrived: Callable[[], int]) -> None:
        self.send = send
        self.arrived = arrived


@asynccontextmanager
async def homeserver(_folder: Path) -> AsyncIterator[Way]:
    async with HttpStub() as stub, Wire(stub.url) as wire:
        stub.will(Answer(json={}), Answer(json={}))
        yield Way(lambda: wire.ask(Ask(method="GET", segments=("sync",))), lambda: len(stub.requests))


@asynccontextmanager
async def logging_in(_folder: Path) -> AsyncIterator[Way]:
    async with HttpStub() as stub:
        made = {"user_id": "@bot:example.org", "device_id": "D", "access_token": "t"}
        stub.will(Answer(json=made), Answer(json=made))
        yield Way(lambda: log_in_with_password(stub.url, "bot", "pw", "Bot"), lambda: len(stub.requests))


@asynccontextmanager
async def webhook_witness_or_time_stamp(_folder: Path) -> AsyncIterator[Way]:
    async with HttpStub() as stub:
        stub.will(Answer(), Answer())
        yield Way(lambda: post(stub.url, b"{}", "application/json"), lambda: len(stub.requests))


@asynccontextmanager
async def issuer_of_logins(_folder: Path) -> AsyncIterator[Way]:
    async with HttpStub() as stub:
        stub.will(Answer(), Answer())
        yield Way(lambda: get(stub.url), lambda: len(stub.requests))


@asynccontextmanager
async def another_homeserver(folder: Path) -> AsyncIterator[Way]:
    certificate = certificate_for(folder / "tls.pem", "127.0.0.1")
    async with HttpStub(tls=shown_by(certificate)) as stub:
        stub.will(Answer(), Answer())
        connections = Connections(tls_context(certificate), may_ask=lambda _: True)
        port = int(stub.url.rpartition(":")[2])
        where = Destination("127.0.0.1", port, f"127.0.0.1:{port}", "127.0.0.1")
        yield Way(lambda: connections.ask(where, "GET", "/"), lambda: len(stub.requests))
        await connections.close()


@asynccontextmanager
async def mail(folder: Path) -> AsyncIterator[Way]:
    async with mail_server() as server:
        own = {"host": "127.0.0.1", "port": server.port, "security": "none", "from": "club@example.org"}
        mailer = Mailer(EmailSettings.model_validate(own), None, folder)
        told = EmailMessage()
        told["From"], told["To"] = "club@example.org", TO
        yield Way(lambda: mailer.send(told, TO), lambda: len(server.mails))


@asynccontextmanager
async def plug_in(folder: Path) -> AsyncIterator[Way]:
    seen: list[object] = []
    async with plugin(folder, says(b'{"labels": {}}\n', seen)) as socket:
        yield Way(lambda: labels_for(socket, 30, kind="image", mimetype=None, data=b"x"), lambda: len(seen))


BY_HTTP = (homeserver, logging_in, webhook_witness_or_time_stamp, issuer_of_logins, another_homeserver)
WAYS = (*BY_HTTP, mail, plug_in)
MakesWay = Callable[[Path], AbstractAsyncContextManager[Way]]


@pytest.mark.parametrize("make", WAYS, ids=lambda make: make.__name__)
class TestEveryWayOut:
    async def test_waits_until_it_may_send(self, make: MakesWay, tmp_path: Path) -> None:
        shut = Gate()
        async with make(tmp_path) as way:
            with gate.shut_by(shut.may_send):
                sending = asyncio.ensure_future(way.send())
            await asyncio.wait_for(shut.asked.wait(), 120)
            assert (way.arrived(), sending.done()) == (0, False)
            shut.open.set()
            await asyncio.wait_for(sending, 120)
            assert way.arrived() == 1

    async def test_is_free_without_a_gate(self, make: MakesWay, tmp_path: Path) -> None:
        async with make(tmp_path) as way:
            await way.send()
            assert way.arrived() == 1


@pytest.mark.parametrize("make", [*BY_HTTP, mail], ids=lambda make: make.__name__)
async def test_a_gate_that_shuts_while_it_connects_holds_it_back(make: MakesWay, tmp_path: Path) -> None:
    shut = Gate(lets=1)
    async with make(tmp_path) as way:
        with gate.shut_by(shut.may_send):
            sending = asyncio.ensure_future(way.send())
        await asyncio.wait_for(shut.asked.wait(), 120)
        assert way.arrived() == 0
        shut.open.set()
        await asyncio.wait_for(sending, 120)
        assert way.arrived() == 1


async def test_a_request_that_waits_is_given_up_and_leaves_its_connection() -> None:
    shut = Gate(lets=1)
    async with HttpStub() as stub:
        with gate.shut_by(shut.may_send):
            sending = asyncio.ensure_future(post(stub.url, b"", "text/plain"))
        await asyncio.wait_for(shut.asked.wait(), 120)
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        assert stub.requests == []


async def test_a_kept_connection_is_no_way_around() -> None:
    shut = Gate(lets=3)  # the first request asks twice
    async with HttpStub() as stub, Wire(stub.url) as wire:
        stub.will(Answer(json={}), Answer(json={}))
        with gate.shut_by(shut.may_send):
            await wire.ask(Ask(method="GET", segments=("sync",)))
            sending = asyncio.ensure_future(wire.ask(Ask(method="GET", segments=("sync",))))
        await asyncio.wait_for(shut.asked.wait(), 120)
        assert len(stub.requests) == 1
        shut.open.set()
        await sending


async def test_a_mail_that_waited_too_long_counts_as_not_sent(tmp_path: Path) -> None:
    """Not as one that may have arrived: that one would not be sent again."""
    shut = Gate(lets=1)
    async with mail_server() as server:
        own = {
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "timeout": "1s",
            "from": "c@example.org",
        }
        told = EmailMessage()
        told["To"] = TO
        with gate.shut_by(shut.may_send), pytest.raises(Unavailable, match="no answer"):
            await Mailer(EmailSettings.model_validate(own), None, tmp_path).send(told, TO)


async def test_tasks_begun_under_a_gate_ask_it_and_others_do_not() -> None:
    shut = Gate()
    with gate.shut_by(shut.may_send):
        inside = asyncio.ensure_future(asyncio.create_task(gate.may_send()))
    await gate.may_send()
    await asyncio.wait_for(shut.asked.wait(), 120)
    assert not inside.done()
    shut.open.set()
    await inside


# What opens connections to others, and where it may stand. The demo is a program of its own.
OPENS = {"ClientSession", "TCPConnector", "SMTP", "open_connection", "create_connection", "create_datagram_endpoint"}
MODULES = {"http.client", "urllib.request", "smtplib", "ftplib", "httpx", "requests"}
MAY = {
    "bot/outside/http.py",
    "bot/outside/mail.py",
    "bot/cli/check/alerts.py",  # `answerable check` looks whether a port is open
    "bot/federation/srv.py",  # names, for the policy server, a process of its own
}


def opened(source: Source) -> set[str]:
    """Return what a module uses that opens connections."""
    found = set()
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in OPENS:
                found.add(name)
            case ast.ClassDef(bases=bases):
                found |= {
                    base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in bases
                } & OPENS
            case ast.Import(names=imported):
                found |= {each.name for each in imported} & MODULES
            case ast.ImportFrom(module=str(module), level=0) if module in MODULES:
                found.add(module)
    return found


def test_nobody_else_opens_connections_to_the_outside(sources: Sources) -> None:
    named = {source.name: opened(source) for source in sources}
    doing = {name for name, found in named.items() if found and not name.startswith("bot/demo/")}
    assert doing <= MAY
    assert {"bot/outside/http.py", "bot/outside/mail.py"} <= doing, "the search finds what it looks for"
