"""A real mail server (aiosmtpd) on loopback that can be told to behave badly.

It speaks SMTP according to RFC 5321 unless told otherwise; `mails` has what it received, in order.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Mood = Literal["well", "hangs", "hangs-after-data", "drops", "drops-after-data", "refuses", "later", "refuses-mail"]


@dataclass
class MailServer:
    """The received mails, and the server's behaviour."""

    port: int = 0
    mood: Mood = "well"
    mails: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # somebody has named a recipient
    go_on: asyncio.Event = field(default_factory=asyncio.Event)  # set: hanging requests continue

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked.set()
        match self.mood:
            case "hangs":
                await self.go_on.wait()
            case "drops":
                assert server.transport is not None
                server.transport.close()
            case "refuses":
                return f"550 5.1.1 <{address}> is nobody here"
            case "later":
                return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.mood == "refuses-mail":
            return "554 5.7.1 looks like spam"
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.to += envelope.rcpt_tos
        if self.mood == "hangs-after-data":
            await self.go_on.wait()
        if self.mood == "drops-after-data":
            assert server.transport is not None
            server.transport.close()
        return "250 OK"

    def code(self, number: int = -1) -> str:
        """Return the code in a mail."""
        found = re.search(r"^([0-9]{4}) ([0-9]{4})\s*$", self.mails[number].get_content(), re.MULTILINE)
        assert found, self.mails[number].get_content()
        return found[1] + found[2]


@asynccontextmanager
async def mail_server(**more: Any) -> AsyncIterator[MailServer]:
    """Run a mail server.

    `more` are options of aiosmtpd, such as `tls_context`, `require_starttls`; `tls` encrypts from the first byte.
    """
    own = MailServer()
    implicit: ssl.SSLContext | None = more.pop("tls", None)
    if more.pop("login", False):

        def check(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: LoginPassword) -> AuthResult:
            own.logins.append((data.login.decode(), data.password.decode()))
            return AuthResult(success=data.password == b"right")

        more |= {"authenticator": check, "auth_required": True, "auth_require_tls": False}

    def protocol() -> SMTP:
        return SMTP(own, hostname="mail.test", **more)

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    own.port = server.sockets[0].getsockname()[1]
    try:
        yield own
    finally:
        own.go_on.set()
        server.close()
