"""Verification by e-mail: a person who can read eight digits sent to an address has a mailbox there.

Rules kept here:
- A code comes from a secure random source, is valid for ten minutes, and is compared in constant time.
- It is stored as an HMAC over the person and the address, so that it is useless to anybody else.
- The operator decides to which domains mail is sent.
- An address that could carry anything besides itself into the mail is refused.
Left to others: how often (`limits.py`, `dialogue.py`), sending (`mailer.py`), sealing what is stored
(`dialogue.py`).
"""

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.message import EmailMessage
from fnmatch import fnmatchcase

from bot.texts.catalog import Catalog
from moderation.values.durations import MS_PER
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.levels import REACHES
from moderation.values.notices import Code, line
from storage.identity.blind_index import mailbox, normalised
from storage.identity.dialogue_key import DialogueKey

from .mailer import Mailer, plain_mail
from .method import DialogueStep, MethodName, ProvedIdentity

LASTS_MS = 10 * MS_PER["m"]
MINUTES = LASTS_MS // MS_PER["m"]
DIGITS = 8
# RFC 5321, 4.1.2, without quoted local parts; the domain is a name, in ASCII letters or in IDNA form.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+\Z")
_MAX = 254


class EmailMethod:
    """The method `email`."""

    name: MethodName = "email"
    level = int(REACHES["email"])

    def __init__(
        self,
        mailer: Mailer,
        sender: str,
        domains: Sequence[str],
        key: DialogueKey,
        catalog: Catalog,
        language_of: Callable[[UserId], Awaitable[str]],
    ) -> None:
        self._mailer = mailer
        self._sender = sender
        self._domains = domains
        self._key = key
        self._catalog = catalog
        self._language_of = language_of

    def address(self, words: str) -> str:
        """Return the mailbox for which attempts are counted. Raises `Refused`."""
        return mailbox(self._parsed(words))

    def _parsed(self, words: str) -> str:
        """Return the address to which mail is sent. Raises `Refused`."""
        address = _parsed(words)
        domain = address.rpartition("@")[2]
        if self._domains and not any(fnmatchcase(domain, glob.lower()) for glob in self._domains):
            raise Refused("error.verify.email-domain", domains=", ".join(self._domains))
        return address

    async def begin(self, user: UserId, words: str, now_ms: int) -> DialogueStep:
        """Send a code."""
        address = self._parsed(words)
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        sent = await self._mailer.send(self._mail(user, address, code, await self._language_of(user)), address)
        return DialogueStep(
            (line(f"verify.email.{sent}", minutes=MINUTES, answer=Code("!verify 12345678")),),
            {"address": address, "code": self._mark(user, address, code)},
            now_ms + LASTS_MS,
        )

    async def answer(self, user: UserId, words: str, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:  # noqa: ARG002
        """Compare the code."""
        code = re.sub(r"[\s-]", "", words)
        if not (len(code) == DIGITS and code.isascii() and code.isdecimal()):
            raise Refused("error.verify.code-form")
        address = str(state["address"])
        if not hmac.compare_digest(self._mark(user, address, code), str(state["code"])):
            raise Refused("error.verify.code-wrong")
        return DialogueStep(proof=ProvedIdentity("", address, {"email": address}))

    async def poll(self, user: UserId, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:  # noqa: ARG002
        """Return the state unchanged: only the person's answer changes it."""
        return DialogueStep(state=state, until_ms=now_ms + LASTS_MS)

    def _mark(self, user: UserId, address: str, code: str) -> str:
        return self._key.mark("code", user, address, code)

    def _mail(self, user: UserId, address: str, code: str, language: str) -> EmailMessage:
        """Compose a plain-text mail: the code, who asked for it, and what to do if the recipient did not ask."""
        subject = self._catalog.text(language, "email.subject")
        fields = {"code": f"{code[:4]} {code[4:]}", "user": user, "minutes": MINUTES}
        return plain_mail(self._sender, address, subject, self._catalog.text(language, "email.body", **fields))


def _parsed(words: str) -> str:
    address = normalised("email", words.strip().removeprefix("<").removesuffix(">"))
    if not address:
        raise Refused("error.verify.email-missing")
    if len(address) > _MAX or not _ADDRESS.match(address) or ".." in address:
        raise Refused("error.verify.email-form")
    return address
