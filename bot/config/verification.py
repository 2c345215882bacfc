"""Settings of verification that only its methods need: how often it may begin, and the mail server.

  [challenges]   how often verification may be begun
  [email]        the mail server; its password is ANSWERABLE_EMAIL_PASSWORD in the environment or in `.env`

Left to others: what rooms ask for (`moderation/policy/`), issuers (`oidc.py`).
"""

import re
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from moderation.policy import StrictSettings
from moderation.values.durations import DAY_MS, HOUR_MS, Duration

from .errors import ConfigProblem

_SENDER = re.compile(r"[\x21-\x7e]{1,64}@[A-Za-z0-9.-]{1,190}\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9.:_-]{1,253})?\Z")


def _sender(text: str) -> str:
    if text and (not text.isprintable() or not _SENDER.match(parseaddr(text)[1])):
        raise PydanticCustomError("sender", "not an address to send from")
    return text


def _host(text: str) -> str:
    if not _HOST.match(text):
        raise PydanticCustomError("mail_host", "not the name of a server")
    return text


class ChallengeSettings(StrictSettings):
    """Limits on how often verification may be begun within a time."""

    within: Duration = HOUR_MS
    per_person: Annotated[int, Field(ge=1)] = 5
    per_address: Annotated[int, Field(ge=1)] = 3
    per_room: Annotated[int, Field(ge=1)] = 60  # by all people together who entered one room within a day


class EmailSettings(StrictSettings):
    """The mail server that sends codes and alerts; without `host` there is no mail."""

    host: Annotated[str, AfterValidator(_host)] = ""
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""  # the password: ANSWERABLE_EMAIL_PASSWORD
    sender: Annotated[str, Field(alias="from"), AfterValidator(_sender)] = ""  # "Club <bot@example.org>"
    ca_file: Path | None = None  # of a private certificate authority; relative to the file
    timeout: Duration = 20_000
    codes: bool = True  # False: members get no codes; the server only sends alerts
    domains: tuple[str, ...] = ()  # globs; (): all
    lasts: Duration = 365 * DAY_MS

    @property
    def sends_codes(self) -> bool:
        """Tell whether members can verify themselves by e-mail."""
        return bool(self.host) and self.codes

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def email_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what does not fit together in the table `[email]`."""
    own = data.get("email")
    if isinstance(own, dict) and own.get("host") and not own.get("from"):
        yield ConfigProblem(("email",), "email_no_sender")
