"""The client of a mail server; no other module makes one. A mail is handed over only while the gate is open.

Left to others: what is sent, deadlines, errors (`bot/identity/mailer.py`).
"""

from typing import Any

from aiosmtplib import SMTP
from aiosmtplib.response import SMTPResponse

from .gate import may_send


class MailClient(SMTP):
    """A connection to a mail server."""

    async def data(self, *args: Any, **more: Any) -> SMTPResponse:
        """Hand a mail over, as soon as it may be sent."""
        await may_send()
        return await super().data(*args, **more)
