"""The one answer that an event has: found if it was given before, else judged, kept, and only then given.

Rules kept here:
- What is signed is exactly what was judged: an event whose content is not the one that was hashed is never signed, as a
  signature does not cover the content.
- Two events of one id (room versions 1 and 2) are never both signed.
- Many who ask about the same event share one judgement, and an answer is worked out even if they no longer wait.
- Nothing is held against somebody unless they are in the room, and their own server signed the event or asks about it
  itself. What breaks a rule without that is refused, but neither kept nor recorded.
- Of the refusals of one person, or of the people of one server, a limited number is recorded in a minute
  (`bot/pipeline/refusal_cap.py`). More are refused all the same.
- What claims to be older than the owner's wish that the room asks is refused like anything else, but held against
  nobody: it may have been written under other rules.
- If an answer cannot be kept, none is given. After `when_down` without one, what breaks no rule is signed all the same,
  and known only until the end of the process: rooms are not silent for as long as a disk is full. No refusal is given.
- Nobody is counted towards a flood by what others say in their name. What their own server sent counts as soon as it is
  found to break no rule, before it is kept: a flood comes all at once.

Left to others: who may ask (`server.py`), whether a rule is broken (`judging.py`), the disk
(`storage/policy_server/`).

Specification: server-server API v1.19, "Policy Servers".
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from bot.crypto.signing import SigningKey
from bot.federation.pdu import Pdu
from bot.pipeline.refusal_cap import MOST_OF_PERSON, MOST_OF_SERVER, RefusalCap
from bot.pipeline.withheld import Withheld, note_of
from bot.runtime.clock import Clock
from bot.runtime.newest import Newest
from moderation.judge.beforehand import Refusal
from moderation.values.ids import EventId, UserId, server_of
from storage.policy_server.store import KeptAnswer, PolicyStore
from storage.record_mapping import Content

from .bot_tables import RoomThatAsks
from .figures import PolicyFigures
from .judging import BeforehandJudge, Judgement, LetBecause, client_event

log = structlog.get_logger()

FORBIDDEN, BAD_JSON, UNKNOWN = "M_FORBIDDEN", "M_BAD_JSON", "M_UNKNOWN"
_MOST_REMEMBERED = 20_000
_TRY_EACH_MS = 1_000


class EventKeys(Protocol):
    """The keys of other servers."""

    async def event_is_signed(self, pdu: Pdu, server: str) -> bool:
        """Tell whether a server signed an event with a key that is valid for it; False if that cannot be found out."""


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """An answer: `signature`, or the reason of a refusal with its status of HTTP."""

    signature: str = ""
    status: int = 200
    errcode: str = ""
    text: str = ""


Say = Callable[[str], str]  # a text of `beforehand.error`, in the language of the deployment
Words = Callable[[Refusal, Judgement, bool], str]  # the bool: whether the refusal is recorded


class Answering:
    """All answers of one policy server."""

    def __init__(
        self,
        store: PolicyStore,
        judge: BeforehandJudge,
        keys: EventKeys,
        own: SigningKey,
        words: Words,
        say: Say,
        figures: PolicyFigures,
        clock: Clock,
        within_ms: int,
        content: Content = "full",
        *,
        when_down_ms: int,
    ) -> None:
        self._store = store
        self._judge = judge
        self._keys = keys
        self._own = own
        self._words = words
        self._say = say
        self._figures = figures
        self._clock = clock
        self._within_s = within_ms / 1000
        self._when_down_ms = when_down_ms
        self._content = content
        self._of_people, self._of_servers = RefusalCap(MOST_OF_PERSON), RefusalCap(MOST_OF_SERVER)
        self._known: Newest[EventId, KeptAnswer] = Newest(_MOST_REMEMBERED)
        self._tried_ms = 0
        self._under_way: dict[object, asyncio.Task[PolicyAnswer]] = {}

    async def answer(self, pdu: Pdu, room: RoomThatAsks, origin: str = "") -> PolicyAnswer:
        """Return the answer to an event of a room that asks. `origin` is the server that asked."""
        if (known := self._known.use(pdu.event_id)) is not None:
            self._figures.count("repeated")
            return self._given(known, pdu)
        key = _same(pdu, origin)
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._found(pdu, room, origin))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def try_disk(self) -> None:
        """Look whether answers can be kept again, at most once a second."""
        if self._clock() - self._tried_ms < _TRY_EACH_MS:
            return
        self._tried_ms = self._clock()
        try:
            await self._store.try_to_write(self._clock())
        except sqlite3.Error:
            return
        self._figures.kept()

    async def settle(self) -> None:
        """Wait until everything under way is answered."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    async def _found(self, pdu: Pdu, room: RoomThatAsks, origin: str) -> PolicyAnswer:
        try:
            return await (self._new(pdu, room, origin) if pdu.has_its_content else self._without_content(pdu))
        except sqlite3.Error as error:
            self._figures.not_kept(str(error))
            return PolicyAnswer(status=503, errcode=UNKNOWN, text=self._say("not-kept"))

    async def _without_content(self, pdu: Pdu) -> PolicyAnswer:
        """Return the answer that the whole event was given; a new one cannot be given without its content."""
        if (kept := await self._store.answer(pdu.event_id)) is not None:
            self._figures.count("repeated")
            return self._remember(kept, pdu)
        self._figures.count("tampered")
        return PolicyAnswer(status=400, errcode=BAD_JSON, text=self._say("tampered"))

    async def _new(self, pdu: Pdu, room: RoomThatAsks, origin: str) -> PolicyAnswer:
        """Return a new answer or, if there is an earlier one in the store, that one: `keep` tells."""
        now_ms = self._clock()
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._within_s
        proof = asyncio.ensure_future(self._is_proven(pdu, origin))
        await asyncio.wait({proof}, timeout=self._within_s / 2)  # the rest of the time is for the judgement
        proven, left_s = proof.done() and proof.result(), ends - loop.time()
        found = await self._judge.judgement(pdu, room, left_s, origin, proven=proven)
        kept = KeptAnswer(pdu.event_id, pdu.reference_hash, pdu.room, found.refusal is None, now_ms)
        if found.refusal is None:
            stands = await self._let_through(kept, found, pdu)
            proof.cancel()
            return stands
        proven = await _in_time(proof, ends - loop.time())
        if not (proven and found.is_there):
            if (earlier := await self._store.answer(pdu.event_id)) is not None:
                return self._remember(earlier, pdu)
            self._figures.count("absent" if proven else "unproven")
            return PolicyAnswer(status=400, errcode=FORBIDDEN, text=self._words(found.refusal, found, False))
        recorded = not found.is_past and self._is_recorded(pdu.sender, now_ms)
        refused = replace(kept, errcode=FORBIDDEN, text=self._words(found.refusal, found, recorded))
        withheld = Withheld(pdu.room, pdu.event_id, client_event(pdu), found.refusal, "policy_server", now_ms)
        first = await self._store.keep(refused, note_of(withheld, self._content) if recorded else None)
        if first is refused:
            self._figures.count("past" if found.is_past else "refused" if recorded else "unrecorded")
            if recorded:
                self._figures.noted.set()
        return self._remember(first, pdu)

    async def _kept(self, accepted: KeptAnswer, because: LetBecause) -> KeptAnswer:
        """Keep the answer to an event that is let through, and count it; return the answer that stands.

        Raises `sqlite3.Error` if it cannot be kept, unless that has failed for long.
        """
        try:
            stands = await self._store.keep(accepted)
        except sqlite3.Error as error:
            if self._figures.failing_ms() < self._when_down_ms:
                raise
            self._figures.not_kept(str(error))
            self._figures.count("unkept")
            return await self._store.answer(accepted.event_id) or accepted
        self._figures.count(because)
        return stands

    async def _let_through(self, accepted: KeptAnswer, found: Judgement, pdu: Pdu) -> PolicyAnswer:
        """Keep that an event is let through, and return the answer that stands; if it is no signature, count nothing.

        Raises `sqlite3.Error` as `_kept` does.
        """
        try:
            stands = self._remember(await self._kept(accepted, found.because), pdu)
        except sqlite3.Error:
            found.take_back()
            raise
        if not stands.signature:
            found.take_back()
        return stands

    async def _is_proven(self, pdu: Pdu, origin: str) -> bool:
        """Tell whether the server of an event's sender sent it: it asks about it itself, or has signed it."""
        server = server_of(pdu.sender)
        return origin == server or await self._keys.event_is_signed(pdu, server)

    def _is_recorded(self, sender: UserId, now_ms: int) -> bool:
        """Count a refusal, and tell whether it is recorded."""
        server = server_of(sender)
        if not (self._of_people.has_room(sender, now_ms) and self._of_servers.has_room(server, now_ms)):
            return False
        self._of_people.add(sender, now_ms)
        self._of_servers.add(server, now_ms)
        return True

    def _remember(self, kept: KeptAnswer, pdu: Pdu) -> PolicyAnswer:
        self._known[kept.event_id] = kept
        return self._given(kept, pdu)

    def _given(self, kept: KeptAnswer, pdu: Pdu) -> PolicyAnswer:
        """Return the answer that is kept. A signature follows from the event and the key, so it is made again."""
        if kept.reference_hash != pdu.reference_hash:
            return PolicyAnswer(status=400, errcode=BAD_JSON, text=self._say("same-id"))
        if kept.accepted:
            return PolicyAnswer(signature=pdu.signature(self._own))
        return PolicyAnswer(status=400, errcode=kept.errcode, text=kept.text)


def _same(pdu: Pdu, origin: str) -> object:
    """Return what two requests share whose answer is the same: the event, its content, and what proves its sender."""
    proof = tuple(sorted(pdu.signatures_of(server_of(pdu.sender)).items()))
    return pdu.reference_hash, pdu.has_its_content, proof, origin == server_of(pdu.sender)


async def _in_time(answer: Awaitable[bool], within_s: float) -> bool:
    """Return an answer; False if it does not come in time."""
    try:
        async with asyncio.timeout(max(0.0, within_s)):
            return await answer
    except TimeoutError:
        return False
