"""Sends a mail to the operator's mail server over SMTP (RFC 5321), encrypted.

Rules kept here:
- If encryption is configured, nothing is sent in plain text, whatever the server offers.
- Everything together takes at most `timeout`, however slow the server is.
- Errors are described in our own words, for those of the library may contain an address, a name or the server's text.
- A mail that was handed over without an answer may still arrive.
Left to others: the content (`email.py`, `bot/effects/alert.py`), the settings (`bot/config/verification.py`).
"""

import asyncio
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from email.utils import format_datetime, make_msgid, parseaddr
from pathlib import Path
from typing import Literal

from aiosmtplib.errors import SMTPException, SMTPResponseException
from pydantic import SecretStr

from bot.config.verification import EmailSettings
from bot.outside.gate import may_send
from bot.outside.mail import MailClient
from moderation.values.errors import Refused

from .method import Unavailable

Sent = Literal["sent", "maybe"]
_PERMANENT = 500


class Mailer:
    """Sends one mail at a time over a connection of its own."""

    def __init__(self, settings: EmailSettings, password: SecretStr | None, folder: Path) -> None:
        self._settings = settings
        self._password = password
        self._folder = folder

    async def send(self, mail: EmailMessage, to: str) -> Sent:
        """Send a mail. Raises `Refused` if the server refuses the address for good, `Unavailable` for other errors.

        Returns "maybe" if no answer came after the mail was handed over.
        """
        handed_over = False
        await may_send()
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout / 1000):
                await self._connect(client)
                await client.mail(parseaddr(self._settings.sender)[1])
                await self._recipient(client, to)
                await may_send()
                handed_over = True
                await client.data(mail.as_bytes())
        except Refused:
            raise
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            if handed_over and not isinstance(error, SMTPResponseException):
                return "maybe"
            raise Unavailable(_why(error)) from None
        finally:
            client.close()
        return "sent"

    async def check(self) -> None:
        """Connect and log in. Raises `Unavailable`."""
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout / 1000):
                await self._connect(client)
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(_why(error)) from None
        finally:
            client.close()

    def _client(self) -> MailClient:
        own = self._settings
        return MailClient(
            hostname=own.host,
            port=own.port,
            use_tls=own.security == "tls",
            start_tls=own.security == "starttls",
            timeout=own.timeout / 1000,
            tls_context=self._trust() if own.security != "none" else None,
        )

    def _trust(self) -> ssl.SSLContext:
        own = self._settings.ca_file
        return ssl.create_default_context(cafile=str(self._folder / own) if own else None)

    async def _connect(self, client: MailClient) -> None:
        await client.connect()
        if self._settings.user and self._password is not None:
            await client.login(self._settings.user, self._password.get_secret_value())

    async def _recipient(self, client: MailClient, to: str) -> None:
        try:
            await client.rcpt(to)
        except SMTPResponseException as error:
            if error.code >= _PERMANENT:
                raise Refused("error.verify.email-refused") from None
            raise


def plain_mail(sender: str, to: str, subject: str, text: str, *, name: str = "") -> EmailMessage:
    """Compose a mail of plain text. The same `name` gives the same Message-ID, so that a mail sent twice is noticed."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail = EmailMessage(policy=SMTP_LINES)
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{name}@{domain}>" if name else make_msgid(domain=domain)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply is wanted
    mail.set_content(text, cte="quoted-printable")
    return mail


def _why(error: Exception) -> str:
    """Describe the kind of error, without any text of the server or the library."""
    if isinstance(error, SMTPResponseException):
        return f"the mail server answered {error.code}"
    return f"the mail server gave no answer ({type(error).__name__})"
