"""Alerts to a webhook or a mailbox: that a case waits, that the bot was removed, that something is wrong with the log.

Rules kept here:
- What is posted is signed as Standard Webhooks says (``webhook-id``, ``webhook-timestamp``, ``webhook-signature``). The
  id of an alert stays the same however often it is tried, and a mail's Message-ID is made of it, so that a receiver
  can leave out what it has.
- Only an answer 2xx counts; a redirect is not followed.
- What was not delivered is tried for about three days.
- Neither the key nor the path of the webhook is logged.

Left to others: of what is told (`bot/pipeline/alerts.py`), the mail server (`bot/identity/mailer.py`).
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from bot.config.alerts import WEBHOOK, signing_key
from bot.config.config import Config
from bot.identity.mailer import Mailer, plain_mail
from bot.identity.method import Unavailable
from bot.matrix.other_servers import NoAnswer, post
from bot.outbox.handler import Done, Handlers, RetryLater
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.texts.catalog import Catalog
from moderation.model.actions.alerts import OF_CASES, OF_GROUPS, Alert, AlertKind
from moderation.model.context import CaseView
from moderation.values.errors import Refused
from moderation.values.notices import Code, Moment
from storage import queries
from storage.database.database import Database

TIMEOUT_S = 10.0
MOST = 30  # cases listed in one mail
_TRIES, _FIRST_MS, _LAST_MS = 80, 60_000, 3_600_000


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One alert in words: `line` says what happened, `more` what waits, `data` the same for programs."""

    txn: str
    what: AlertKind | str
    line: str
    more: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class AlertSender:
    """The webhook and the mailboxes of one deployment. Raises `Refused` if the key that signs is missing."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._url = config.alerts.webhook
        self._key = signing_key(config.secrets.alerts) if self._url else b""
        self._sender = config.email.sender
        self._mailer = Mailer(config.email, config.secrets.email_password, config.file.parent)
        self._origin = config.origin
        self._clock = clock
        self.channels = config.alerts.channels

    async def send(self, channel: str, message: AlertMessage) -> None:
        """Send one alert. Raises `NoAnswer` or `Unavailable`; `Refused` if the mail server refuses the address."""
        if channel == WEBHOOK:
            await self._post(message)
        else:
            text = f"{message.line}\n\n{message.more}".rstrip() + "\n"
            subject = f"[Answerable] {message.line}"
            await self._mailer.send(plain_mail(self._sender, channel, subject, text, name=self._id(message)), channel)

    async def _post(self, message: AlertMessage) -> None:
        assert self._url is not None
        name = self._id(message)
        told = {"type": f"answerable.{message.what}", "id": name, "text": message.line}
        body = orjson.dumps({**told, "data": {"log": self._origin, **message.data}})
        reply = await post(self._url, body, "application/json", TIMEOUT_S, self._signed(name, body))
        if not 200 <= reply.status < 300:
            raise NoAnswer(f"the webhook answered {reply.status}")

    def _id(self, message: AlertMessage) -> str:
        """Return a name that no other deployment gives."""
        return "msg_" + hashlib.sha256(f"{self._origin} {message.txn}".encode()).hexdigest()[:32]

    def _signed(self, name: str, body: bytes) -> dict[str, str]:
        seconds = str(self._clock() // 1000)
        mac = hmac.digest(self._key, b".".join((name.encode(), seconds.encode(), body)), hashlib.sha256)
        signature = "v1," + base64.b64encode(mac).decode()
        return {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": signature}


class Alerter:
    """The handler of `Alert`."""

    def __init__(
        self, database: Database, pipeline: Pipeline, sender: AlertSender, texts: Catalog, language: str
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._sender = sender
        self._texts = texts
        self._language = language
        self.handles: Handlers = {Alert: self.alert}

    async def alert(self, action: Alert, txn: str) -> Done:
        """Tell one place; later again if it cannot be reached."""
        if action.channel not in self._sender.channels:  # it was configured when this was queued
            return Done(result="abandoned", code="off")
        try:
            await self._sender.send(action.channel, await self._message(action, txn))
        except (NoAnswer, Unavailable) as error:
            given_up = Done(result="refused", code="unanswered")
            raise RetryLater(str(error), given_up, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS) from None
        except Refused:
            return Done(result="refused", code="address")
        return Done()

    async def _message(self, action: Alert, txn: str) -> AlertMessage:
        code = self._pipeline.served.codes.get(action.room, "-")
        if action.what not in OF_CASES:
            of_room = action.what in OF_GROUPS
            key = f"alert.{action.what}" if of_room else f"alert.log.{action.code}"
            data: dict[str, Any] = {"group": code} if of_room else {"problem": action.code}
            return AlertMessage(txn, action.what, self._text(key, code=Code(code)), data=data)
        async with self._database.read() as db:
            case = await queries.case_view(db, action.n)
            waiting = await queries.waiting_cases(db, [action.room], MOST)
        fields = {"n": action.n, "code": Code(code), "due": Moment(action.due)}
        data = {"group": code, "case": action.n, "class": case.grade if case else "-", "asked": action.asked}
        return AlertMessage(
            txn,
            action.what,
            self._text(f"alert.{action.what}", **fields),
            self._list(code, waiting),
            {**data, "due": _as_time(action.due)},
        )

    def _list(self, code: str, cases: list[CaseView]) -> str:
        if not cases:
            return self._text("alert.none-wait", code=Code(code))
        lines = [self._text("alert.waiting", code=Code(code)), *map(self._case, cases), "", self._text("alert.foot")]
        return "\n".join(lines)

    def _case(self, case: CaseView) -> str:
        grade, state = (self._text(f"{kind}.{word}") for kind, word in (("grade", case.grade), ("state", case.state)))
        return self._text("alert.case", n=case.n, grade=grade, state=state, due=Moment(case.due))

    def _text(self, key: str, **fields: object) -> str:
        return self._texts.text(self._language, key, **fields)


def _as_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
