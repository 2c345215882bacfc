"""The anchors of closing checkpoints outside: a witness cosigns them, an authority stamps them. Both are optional.

Rules kept here:
- A cosignature or time stamp is on disk before it is recorded; what is on disk is not asked for again.
- A server that is out of reach or refuses is asked again for some hours; then the refusal is recorded.
- Nothing waits for these servers.

Left to others: the protocols (`witness.py`, `storage/journal/transparency/timestamp.py`), when to ask
(`anchor_day.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal

from bot.matrix.other_servers import NoAnswer, post
from bot.outbox.handler import Done, Handlers, RetryLater
from moderation.model.actions.anchors import Timestamp, Witness
from moderation.model.facts import CheckpointAnchored
from moderation.values.errors import Invalid
from storage.journal.transparency.cosignature import Cosigner, cosigned
from storage.journal.transparency.daily_checkpoints import CHECKPOINT, TIMESTAMP, Closing, Closings

from .witness import Ahead, WitnessClient

Where = Literal["witness", "timestamp"]
Obtain = Callable[[Closing], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Patience:
    """The number of tries and the pauses between them: by default six hours in all."""

    tries: int = 12
    first_ms: int = 60_000
    last_ms: int = 3_600_000


class OutsideAnchorer:
    """The handler of `Witness` and `Timestamp`. Without a witness or an authority, what is queued for it is dropped."""

    def __init__(
        self,
        witness: WitnessClient | None,
        timestamp_url: str | None,
        closings: Closings,
        patience: Patience = Patience(),
    ) -> None:
        self._closings = closings
        self._patience = patience
        self._cosign = partial(self._have_cosigned, witness) if witness is not None else None
        self._stamp = partial(self._have_stamped, timestamp_url) if timestamp_url is not None else None
        self.handles: Handlers = {Witness: self.cosign, Timestamp: self.stamp}

    async def cosign(self, action: Witness, _txn: str) -> Done:
        """Have the checkpoint cosigned by the witness."""
        return await self._anchor("witness", CHECKPOINT, action.day, self._cosign)

    async def stamp(self, action: Timestamp, _txn: str) -> Done:
        """Have the checkpoint stamped by the authority."""
        return await self._anchor("timestamp", TIMESTAMP, action.day, self._stamp)

    async def _anchor(self, where: Where, suffix: str, day: str, obtain: Obtain | None) -> Done:
        if obtain is None:  # it was configured when this was queued
            return Done(result="abandoned", code="off")
        try:
            closing = await asyncio.to_thread(self._closings.read, day)
        except LookupError:
            return Done(result="abandoned", code="gone")
        try:
            await obtain(closing)
        except Ahead:
            return _refused(where, closing, "ahead")
        except (NoAnswer, Invalid) as error:
            given_up, patience = _refused(where, closing, "unanswered"), self._patience
            raise RetryLater(str(error), given_up, **asdict(patience)) from error
        made = f"checkpoints/{day}{suffix}"
        return Done((CheckpointAnchored(where=where, size=closing.size, day=day, made=made),))

    async def _have_cosigned(self, client: WitnessClient, closing: Closing) -> None:
        if _is_cosigned(closing, client.cosigners):  # the bot was stopped just after it came
            return
        before = await asyncio.to_thread(_cosigned_before, self._closings, closing, client.cosigners)
        lines = await client.cosign(closing, before)
        await asyncio.to_thread(self._closings.add_lines, closing.day, lines)

    async def _have_stamped(self, url: str, closing: Closing) -> None:
        from storage.journal.transparency import timestamp  # slow to load, and seldom wanted

        if await asyncio.to_thread(self._closings.timestamp, closing.day) is not None:
            return
        asked = timestamp.request(closing.as_signed)
        reply = await post(url, asked.data, timestamp.REQUEST_TYPE)
        if reply.status != 200:
            raise NoAnswer(f"the authority answered {reply.status}")
        timestamp.check(reply.body, closing.as_signed, asked.nonce)
        await asyncio.to_thread(self._closings.add_timestamp, closing.day, reply.body)


def _refused(where: Where, closing: Closing, code: str) -> Done:
    fact = CheckpointAnchored(where=where, size=closing.size, day=closing.day, result="refused")
    return Done((fact,), result="refused", code=code)


def _is_cosigned(closing: Closing, cosigners: Sequence[Cosigner]) -> bool:
    try:
        return cosigned(closing.note, *cosigners) is not None
    except Invalid:  # somebody damaged it; `answerable logs verify` says so
        return False


def _cosigned_before(closings: Closings, closing: Closing, cosigners: Sequence[Cosigner]) -> int:
    """Return the size of the newest earlier checkpoint that the witness cosigned; 0 if we know of none."""
    for day in reversed([day for day in closings.days() if day < closing.day]):
        with suppress(LookupError):
            if _is_cosigned(earlier := closings.read(day), cosigners):
                return earlier.size
    return 0
