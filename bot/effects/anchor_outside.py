"""The anchors of closing checkpoints outside: a witness cosigns them, an authority stamps them. Both are optional.

Rules kept here:
- A cosignature or time stamp is on disk before it is recorded; what is on disk is not asked for again.
- A server that is out of reach or refuses is asked again for some hours; then the refusal is recorded.
- Nothing waits for these servers.

Left to others: the protocols (`witness.py`, `storage/journal/transparency/timestamp.py`), when to ask
(`anchor_day.py`).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from bot.matrix.other_servers import NoAnswer, post
from bot.outbox.handler import Done, Handlers, RetryLater
from moderation.model.actions import Timestamp, Witness
from moderation.model.facts import CheckpointAnchored
from moderation.values.errors import Invalid
from storage.journal.transparency.cosignature import Cosigner, cosigned
from storage.journal.transparency.daily_checkpoints import CHECKPOINT, TIMESTAMP, Closing, Closings

from .witness import Ahead, WitnessClient


@dataclass(frozen=True, slots=True)
class Patience:
    """The number of tries and the pauses between them: by default six hours in all."""

    tries: int = 12
    first_ms: int = 60_000
    last_ms: int = 3_600_000


class WitnessAnchorer:
    """The handler of `Witness`."""

    def __init__(self, client: WitnessClient | None, closings: Closings, patience: Patience = Patience()) -> None:
        self._client = client
        self._closings = closings
        self._patience = patience
        self.handles: Handlers = {Witness: self.anchor}

    async def anchor(self, action: Witness, _txn: str) -> Done:
        """Have the checkpoint cosigned by the witness."""
        if self._client is None:  # it was configured when this was queued
            return Done(result="abandoned", code="off")
        try:
            closing = await asyncio.to_thread(self._closings.read, action.day)
        except LookupError:
            return Done(result="abandoned", code="gone")
        try:
            await self._obtain(self._client, closing)
        except Ahead:
            return _refused("witness", closing, "ahead")
        except NoAnswer as error:
            raise _later(str(error), _refused("witness", closing, "unanswered"), self._patience) from error
        return _done("witness", closing, CHECKPOINT)

    async def _obtain(self, client: WitnessClient, closing: Closing) -> None:
        if _is_cosigned(closing, client.cosigner):  # the bot was stopped just after it came
            return
        before = await asyncio.to_thread(_cosigned_before, self._closings, closing, client.cosigner)
        lines = await client.cosign(closing, before)
        await asyncio.to_thread(self._closings.add_lines, closing.day, lines)


class TimestampAnchorer:
    """The handler of `Timestamp`."""

    def __init__(self, url: str | None, closings: Closings, patience: Patience = Patience()) -> None:
        self._url = url
        self._closings = closings
        self._patience = patience
        self.handles: Handlers = {Timestamp: self.anchor}

    async def anchor(self, action: Timestamp, _txn: str) -> Done:
        """Have the checkpoint stamped by the authority."""
        if self._url is None:
            return Done(result="abandoned", code="off")
        try:
            closing = await asyncio.to_thread(self._closings.read, action.day)
        except LookupError:
            return Done(result="abandoned", code="gone")
        try:
            await self._obtain(self._url, closing)
        except (NoAnswer, Invalid) as error:
            raise _later(str(error), _refused("timestamp", closing, "unanswered"), self._patience) from error
        return _done("timestamp", closing, TIMESTAMP)

    async def _obtain(self, url: str, closing: Closing) -> None:
        from storage.journal.transparency import timestamp  # slow to load, and seldom wanted

        if await asyncio.to_thread(self._closings.timestamp, closing.day) is not None:
            return
        asked = timestamp.request(closing.as_signed)
        reply = await post(url, asked.data, timestamp.REQUEST_TYPE)
        if reply.status != 200:
            raise NoAnswer(f"the authority answered {reply.status}")
        timestamp.check(reply.body, closing.as_signed, asked.nonce)
        await asyncio.to_thread(self._closings.add_timestamp, closing.day, reply.body)


def _is_cosigned(closing: Closing, cosigner: Cosigner) -> bool:
    try:
        return cosigned(closing.note, cosigner) is not None
    except Invalid:  # somebody damaged it; `answerable logs verify` says so
        return False


def _cosigned_before(closings: Closings, closing: Closing, cosigner: Cosigner) -> int:
    """Return the size of the newest earlier checkpoint that the witness cosigned; 0 if we know of none."""
    for day in reversed([day for day in closings.days() if day < closing.day]):
        with suppress(LookupError):
            if _is_cosigned(earlier := closings.read(day), cosigner):
                return earlier.size
    return 0


Where = Literal["witness", "timestamp"]


def _done(where: Where, closing: Closing, suffix: str) -> Done:
    made = f"checkpoints/{closing.day}{suffix}"
    return Done((CheckpointAnchored(where=where, size=closing.size, day=closing.day, made=made),))


def _refused(where: Where, closing: Closing, code: str) -> Done:
    fact = CheckpointAnchored(where=where, size=closing.size, day=closing.day, result="refused")
    return Done((fact,), result="refused", code=code)


def _later(why: str, given_up: Done, patience: Patience) -> RetryLater:
    return RetryLater(why, given_up, tries=patience.tries, first_ms=patience.first_ms, last_ms=patience.last_ms)
