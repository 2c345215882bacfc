"""Settings of alerts: where the operator is told, outside Matrix, that something needs somebody.

  [alerts]   a webhook, mailboxes, and what they are told of; the key that signs is ANSWERABLE_ALERTS_SECRET in the
             environment or in `.env`

Rules kept here:
- A webhook is asked by https, or on this machine.
- Nothing is posted without a signature.

Left to others: the mail server (`verification.py`), what is told of what (`bot/pipeline/alerts.py`), the sending
(`bot/effects/alert.py`).
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr
from pydantic_core import PydanticCustomError

from moderation.model.actions.alerts import AlertKind
from moderation.policy import StrictSettings
from moderation.values.errors import Refused
from moderation.values.notices import Code

from .errors import ConfigProblem
from .oidc import is_safe

ALERTS_SECRET = "ANSWERABLE_ALERTS_SECRET"  # noqa: S105 - the name of a variable
WEBHOOK = "webhook"
_PREFIX = "whsec_"
_SHORTEST = 24  # bytes of a key (Standard Webhooks)
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}\Z")


def _webhook(text: str) -> str:
    if not is_safe(text, loopback=True) or "#" in text:
        raise PydanticCustomError("webhook", "not an address to post to")
    return text


def _mailbox(text: str) -> str:
    if not _MAILBOX.match(text):
        raise PydanticCustomError("mailbox", "not an address")
    return text


class AlertSettings(StrictSettings):
    """The places that are told, and of what; without a place nobody is."""

    webhook: Annotated[str, AfterValidator(_webhook)] | None = None
    mail: tuple[Annotated[str, AfterValidator(_mailbox)], ...] = ()
    on: tuple[AlertKind, ...] = ("due", "overdue", "escalated", "appeal", "removed", "wave", "log")

    @property
    def channels(self) -> tuple[str, ...]:
        """The places: `WEBHOOK`, and each mailbox."""
        return (*((WEBHOOK,) if self.webhook else ()), *self.mail)


def alert_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what does not fit together: mail needs a mail server."""
    alerts, email = data.get("alerts"), data.get("email")
    if isinstance(alerts, dict) and alerts.get("mail") and not (isinstance(email, dict) and email.get("host")):
        yield ConfigProblem(("alerts", "mail"), "not_alone", {"other": Code("email.host")})


def signing_key(secret: SecretStr | None) -> bytes:
    """Return the key that signs what is posted. Raises `Refused` if it is missing or too short to be one."""
    if secret is None:
        raise Refused("alert.no-secret", variable=Code(ALERTS_SECRET))
    try:
        key = base64.b64decode(secret.get_secret_value().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < _SHORTEST:
        raise Refused("alert.bad-secret", variable=Code(ALERTS_SECRET))
    return key
