"""The client of a witness, which cosigns checkpoints (C2SP tlog-witness, `add-checkpoint`).

    old 740                       the size that the witness saw last
    (hashes, one a line)          proof that the log has only grown since (RFC 6962, 2.1.2)

    (the signed checkpoint)

Rules kept here:
- The witness knows best what it saw last: if that differs from our assumption, it says so (409) and gets the proof from
  there.
- Only lines that are valid by the witness's keys are taken; one that is not spoils all of its answer.
- A line says when the witness saw the checkpoint: not never (0), and not later than a day from now.

Left to others: when to ask, trying again, keeping the lines (`anchor_outside.py`).
"""

import asyncio
import base64
from collections.abc import Callable, Sequence

from bot.matrix.other_servers import HttpReply, NoAnswer, post
from bot.runtime.clock import Clock
from moderation.values.errors import Invalid
from storage.journal.transparency.cosignature import MOST_AHEAD_S, Cosigner, cosigned, lines_of
from storage.journal.transparency.daily_checkpoints import Closing

SIZE_TYPE = "text/x.tlog.size"
Prove = Callable[[int, int], Sequence[bytes]]  # old size, new size
_ROUNDS = 3  # others may submit our checkpoints to the witness at the same time


class Ahead(Exception):
    """The witness has cosigned a later checkpoint, which covers this one."""


class WitnessClient:
    """One witness: its submission prefix, its keys, and where proofs come from."""

    def __init__(self, url: str, cosigners: Sequence[Cosigner], prove: Prove, clock: Clock) -> None:
        self.cosigners = cosigners
        self._clock = clock
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._prove = prove

    async def cosign(self, closing: Closing, old: int) -> list[str]:
        """Return the witness's signature lines for a checkpoint; `old` is the size it is assumed to have seen last.

        Raises `Ahead`, or `NoAnswer` for everything else that is not a cosignature.
        """
        tried: set[int] = set()
        while old not in tried and len(tried) < _ROUNDS:
            tried.add(old)
            reply = await post(self._url, await self._request(closing, old), "text/plain")
            if reply.status == 200:
                return self._lines(closing, reply)
            old = _known_size(reply)
            if old > closing.size:
                raise Ahead(f"the witness has seen {old} records already")
        raise NoAnswer(f"the witness does not agree with itself, or with us, on what it saw last ({old})")

    async def _request(self, closing: Closing, old: int) -> bytes:
        try:
            proof = await asyncio.to_thread(self._prove, old, closing.size)
        except (Invalid, LookupError) as error:
            raise NoAnswer(f"no proof from {old} to {closing.size} can be made: {error}") from None
        lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof)]
        return ("\n".join(lines) + f"\n\n{closing.note}").encode()

    def _lines(self, closing: Closing, reply: HttpReply) -> list[str]:
        try:
            note = closing.as_signed + reply.body.decode()
            lines = lines_of(note, self.cosigners)
            at_s = cosigned(note, *self.cosigners)
        except (Invalid, UnicodeDecodeError):
            raise NoAnswer("the witness answered with a cosignature that does not hold") from None
        if at_s is None:
            keys = ", ".join(f"{each.name} ({each.algorithm.title})" for each in self.cosigners)
            raise NoAnswer(f"the witness answered without a cosignature by a key we know: {keys}")
        if not 0 < at_s <= self._clock() // 1000 + MOST_AHEAD_S:
            raise NoAnswer(f"the witness dated its cosignature {at_s} seconds after 1970: its clock or ours is wrong")
        return lines


def _known_size(reply: HttpReply) -> int:
    """Return the size that the witness saw last, from its refusal. Raises `NoAnswer` if that has another reason."""
    text = reply.body.decode("ascii", "replace").strip()
    if reply.status != 409 or reply.mimetype != SIZE_TYPE or not (text.isascii() and text.isdigit() and len(text) < 17):
        raise NoAnswer(f"the witness answered {reply.status}: {text[:200]!r}")
    return int(text)
