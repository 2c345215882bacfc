"""Sending a mail to a mail server: encrypted or not at all, in bounded time, and no error repeats anybody's words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.config.verification import EmailSettings
from bot.identity.mailer import Mailer
from bot.identity.method import Unavailable
from moderation.values.errors import Refused
from tests.fakes.certificate import certificate_for, shown_by
from tests.fakes.mail_server import MailServer, Mood, mail_server

TO = "ann.secret@example.org"


def mail() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "club@example.org", TO, "code"
    made.set_content("1234 5678\n")
    return made


def mailer(server: MailServer, folder: Path = Path(), **more: object) -> Mailer:
    password = more.pop("password", None)
    own = {"host": "127.0.0.1", "port": server.port, "security": "none", "timeout": "1s", "from": "club@example.org"}
    settings = EmailSettings.model_validate(own | more)
    return Mailer(settings, SecretStr(str(password)) if password else None, folder)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a key and a self-signed certificate for 127.0.0.1."""
    return certificate_for(tmp_path_factory.mktemp("tls") / "mail.pem", "127.0.0.1")


async def test_a_mail_arrives_complete() -> None:
    async with mail_server() as server:
        assert await mailer(server).send(mail(), TO) == "sent"
        assert (server.to, server.code()) == ([TO], "12345678")


class TestEncryption:
    async def test_works_by_starttls_and_implicit_tls(self, certificate: Path) -> None:
        context = shown_by(certificate)
        async with mail_server(tls_context=context, require_starttls=True) as server:
            own = mailer(server, certificate.parent, security="starttls", ca_file=certificate.name)
            assert await own.send(mail(), TO) == "sent"
        async with mail_server(tls=context) as server:
            own = mailer(server, certificate.parent, security="tls", ca_file=certificate.name)
            assert await own.send(mail(), TO) == "sent"

    async def test_is_required_even_if_the_server_offers_none(self) -> None:
        async with mail_server() as server:
            for security in ("starttls", "tls"):
                with pytest.raises(Unavailable):
                    await mailer(server, security=security).send(mail(), TO)
            assert server.mails == []

    async def test_is_required_with_a_trusted_certificate(self, certificate: Path) -> None:
        async with mail_server(tls_context=shown_by(certificate), require_starttls=True) as server:
            with pytest.raises(Unavailable):
                await mailer(server, security="starttls").send(mail(), TO)
            assert server.mails == []

    async def test_is_reported_if_the_server_requires_it(self, certificate: Path) -> None:
        async with mail_server(tls_context=shown_by(certificate), require_starttls=True) as server:
            with pytest.raises(Unavailable):
                await mailer(server).send(mail(), TO)


async def test_logging_in() -> None:
    async with mail_server(login=True) as server:
        assert await mailer(server, user="club", password="right").send(mail(), TO) == "sent"
        assert server.logins == [("club", "right")]
        with pytest.raises(Unavailable) as error:
            await mailer(server, user="club", password="not-that-one").send(mail(), TO)
        assert "not-that-one" not in str(error.value)


@pytest.mark.parametrize("mood", ["hangs", "drops", "later", "refuses-mail"])
async def test_an_undelivered_mail_can_be_tried_again(mood: Mood) -> None:
    async with mail_server() as server:
        server.mood = mood
        with pytest.raises(Unavailable) as error:
            await mailer(server).send(mail(), TO)
        assert TO not in error.value.why
        assert error.value.__cause__ is None


@pytest.mark.parametrize("mood", ["hangs-after-data", "drops-after-data"])
async def test_a_mail_handed_over_without_an_answer_may_arrive(mood: Mood) -> None:
    async with mail_server() as server:
        server.mood = mood
        assert await mailer(server).send(mail(), TO) == "maybe"
        assert server.to == [TO]


async def test_a_refused_address_is_reported_to_the_person() -> None:
    async with mail_server() as server:
        server.mood = "refuses"
        with pytest.raises(Refused) as refused:
            await mailer(server).send(mail(), TO)
        assert (refused.value.key, dict(refused.value.fields)) == ("error.verify.email-refused", {})


@asynccontextmanager
async def listening(says: bytes, every_s: float) -> AsyncIterator[MailServer]:
    """Run a server that sends the same text repeatedly, and never a proper answer."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(says)
                await writer.drain()
                await asyncio.sleep(every_s)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield MailServer(port=server.sockets[0].getsockname()[1])
    finally:
        server.close()


@pytest.mark.parametrize(
    ("says", "every_s"),
    [(b"220-go on\r\n", 0.05), (b"x" * 65_536, 0.01), (b"HTTP/1.1 200 OK\r\n", 0.05), (b"\xff\x00\r\n", 0.05)],
)
async def test_a_nonsensical_or_endless_server_is_left_in_time(says: bytes, every_s: float) -> None:
    async with listening(says, every_s) as server, asyncio.timeout(120):
        with pytest.raises(Unavailable):
            await mailer(server).send(mail(), TO)


async def test_an_unreachable_server_is_reported() -> None:
    async with mail_server() as server:
        pass
    with pytest.raises(Unavailable):
        await mailer(server).check()
