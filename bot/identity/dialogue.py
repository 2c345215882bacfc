"""Runs the dialogue of a verification, one step for each message of the person, and stores what was proved.

Rules kept here:
- A step runs outside the unit of work, so that a mail server or an issuer that hangs blocks nothing else.
- What a person typed is stored only sealed, never logged, and never repeated to anybody.
- An answer is counted before it is examined, so that a crash gives no extra try.
- What was proved is in the identity store before the fact says so, and both name the same person.
- While the store is locked, no verification begins.
Left to others: what a method asks (`method.py` and its methods), how often somebody may try (`limits.py`), two accounts
of one person (`account_linking.py`), what follows from a verification (`moderation/`).
"""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.verification import ChallengeSettings
from bot.outbox.handler import BotPart, Done, Handlers, PollAgain, RetryLater, Services
from bot.texts.refusal import refusal_line
from moderation.model.actions.people import Verify
from moderation.model.actions.telling import Tell
from moderation.model.facts import (
    ActionResult,
    PersonVerified,
)
from moderation.values.errors import Broken, Refused
from moderation.values.ids import PersonId, UserId
from moderation.values.notices import Line, Moment, line
from storage import outbox, schema
from storage.identity.store import IdentityStore, Locked, NewClaim, Taken
from storage.projections import person_of
from storage.state import verification_dialogues
from storage.state.verification_dialogues import StoredDialogue

from . import limits
from .account_linking import Linking
from .asking import Asking
from .method import Addressed, DialogueStep, Method, ProvedIdentity, Unavailable

T = TypeVar("T")
log = structlog.get_logger()

MAX_TRIES = 5  # answers to one question
STOP, LINK = ("stop", "停止", "取消"), ("link", "关联")
_TRIES, _FIRST_MS, _LAST_MS = 4, 5_000, 30_000  # retries while a method is unavailable
_WRONG = "error.verify.code-wrong"


@dataclass(frozen=True, slots=True)
class Offered:
    """A method, and how long (ms) its proofs are valid."""

    method: Method
    lasts_ms: int


class IdentityDialogue(BotPart):
    """The handler of `Verify` actions."""

    def __init__(
        self,
        services: Services,
        methods: Mapping[str, Offered],
        store: IdentityStore,
        asking: Asking,
        settings: ChallengeSettings,
        linking: Linking,
    ) -> None:
        super().__init__(services)
        self._methods = methods
        self._store = store
        self._key, self._hush = asking.key, asking.hush
        self._settings = settings
        self._linking = linking
        self._newest: dict[UserId, int] = {}  # record of each person's last message, not to be overtaken by a retry
        self._counted: dict[UserId, int] = {}  # record of a counted message, in case it is retried
        self.handles: Handlers = {Verify: self.handle}

    async def handle(self, action: Verify, _txn: str) -> Done:
        """Do what the person asked for, or poll for the result."""
        try:
            return await self._handle(action)
        except Refused as refused:
            return await self._refused(action, refused)
        except (PollAgain, RetryLater, OSError, Broken, SQLAlchemyError):
            raise
        except _Damaged as error:
            log.error("verify_damaged", why=str(error))
            return replace(self._ended(action, line("error.verify.failed")), result="abandoned", code="damaged")
        except Exception as error:
            # Without the error's text: a library's message may repeat what somebody typed.
            where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            log.error("verify_failed", error=type(error).__name__, where=where[-3:])
            return self._told(action, line("error.verify.failed"), result="abandoned", code="defect")

    async def _handle(self, action: Verify) -> Done:
        if not action.sealed:  # a poll: `on` is then the time at which the dialogue began, not a record
            return await self._poll(action)
        words = await self._words(action)
        if action.on < self._newest.get(action.subject, -1):
            return Done(result="abandoned")
        self._newest[action.subject] = action.on
        first, _, rest = words.partition(" ")
        if first.lower() in STOP:
            return self._ended(action, line("verify.stopped"))
        if first.lower() in LINK:
            return self._told(action, *await self._linking.asked(action.subject, rest.strip()))
        if (offered := self._methods.get(first.lower())) is not None:
            return await self._begin(action, offered, rest.strip())
        return await self._answer(action, words)

    async def _words(self, action: Verify) -> str:
        if not action.sealed:
            return ""
        return await _stored(self._key.unseal, action.sealed, "said", action.subject, str(action.on))

    # The three things that can happen.

    async def _begin(self, action: Verify, offered: Offered, words: str) -> Done:
        await asyncio.to_thread(self._store.must_be_open)
        method, now, user = offered.method, self._clock(), action.subject
        address = method.address(words) if isinstance(method, Addressed) else ""
        about = self._key.mark("about", method.name, address) if address else ""

        async def note(db: AsyncConnection) -> None:
            await limits.begin(db, user, about, self._settings, now)

        await self._once(action, note)
        try:
            step = await _asked(method.begin(user, words, now))
        except Unavailable as error:
            raise self._later(action, error) from None
        return await self._follow(action, offered, step, StoredDialogue(user, method.name, "", now, 0))

    async def _answer(self, action: Verify, words: str) -> Done:
        one = await self._challenge(action.subject)
        if one is None:
            raise Refused("error.verify.nothing-open")
        if self._clock() >= one.until:
            return self._ended(action, line("error.verify.expired"))
        if one.tries >= MAX_TRIES or one.method not in self._methods:
            return self._ended(action, line("error.verify.too-many"))

        async def count(db: AsyncConnection) -> None:
            await verification_dialogues.count_try(db, action.subject)

        await self._once(action, count)
        one = await self._challenge(action.subject) or one
        offered = self._methods[one.method]
        try:
            state = await self._state(one)
            step = await _asked(offered.method.answer(action.subject, words, state, self._clock()))
        except Unavailable as error:
            raise self._later(action, error) from None
        except Refused as refused:
            return self._wrong(action, refused, one)
        return await self._follow(action, offered, step, one)

    async def _poll(self, action: Verify) -> Done:
        one = await self._challenge(action.subject)
        if one is None or not one.poll or one.started != action.on or one.method not in self._methods:
            return Done(result="abandoned")
        offered = self._methods[one.method]
        if self._clock() >= one.until:
            return self._ended(action, line("error.verify.expired"))
        try:
            step = await _asked(offered.method.poll(action.subject, await self._state(one), self._clock()))
        except Unavailable as error:
            log.info("verify_waits", method=one.method, why=error.why)
            raise PollAgain(one.poll) from None
        if step.proof is None and step.state is not None and step.poll_ms and not step.lines:
            kept = self._kept(one, step)
            await self._pipeline.commit(also=lambda db: verification_dialogues.keep(db, kept))
            raise PollAgain(step.poll_ms)
        return await self._follow(action, offered, step, one)

    async def _once(self, action: Verify, write: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Count this durably, and only once however often it is retried."""
        if self._counted.get(action.subject) != action.on:
            await self._pipeline.commit(also=write)
            self._counted[action.subject] = action.on

    # Outcomes.

    async def _follow(self, action: Verify, offered: Offered, step: DialogueStep, one: StoredDialogue) -> Done:
        if step.proof is not None:
            return await self._proved(action, offered, step, step.proof)
        if step.state is None:
            return self._ended(action, *step.lines)
        kept = self._kept(one, step)
        self._hush.opened(kept.user, kept.until)

        async def keep(db: AsyncConnection) -> None:
            await verification_dialogues.keep(db, kept)
            if step.poll_ms:
                look = Verify(room=action.room, subject=action.subject, sealed="", on=kept.started)
                now = self._pipeline.steady()
                await outbox.put(db, (look,), cause=None, now=now, not_before=now + step.poll_ms)

        return self._told(action, *step.lines, also=keep)

    async def _proved(self, action: Verify, offered: Offered, step: DialogueStep, proof: ProvedIdentity) -> Done:
        now, user = self._clock(), action.subject
        until = proof.until_ms or now + offered.lasts_ms
        method = offered.method.name
        async with self._database.read() as db:
            person = PersonId(await person_of(db, user))
            if await _holds(db, person, method, until):
                return self._ended(action, line("verify.already", until=Moment(until)))
        claim = NewClaim(
            person=person,
            method=method,
            issuer=proof.issuer,
            identifier=proof.identifier,
            fields=proof.claims,
            created_ms=now,
            expires_ms=until,
        )
        level = proof.level or offered.method.level
        try:
            number = await _stored(self._store.add_claim, claim)
        except Taken as taken:
            return self._ended(action, *await self._linking.taken(user, taken.person, claim, level))
        fact = PersonVerified(method=method, level=level, until=until, subject=user)
        done = self._ended(action, *step.lines, line(f"verify.done.{method}", until=Moment(until), level=level))
        return replace(done, facts=(fact,), after=lambda: self._note(number, user, method, until))

    async def _note(self, claim: str, user: UserId, method: str, until: int) -> None:
        """Note in the claim the record of the verification, which has its number only once it is written."""
        v = schema.verifications.c
        query = select(func.max(v.record)).where(v.user == user, v.method == method, v.until == until)
        async with self._database.read() as db:
            record = await db.scalar(query)
        if record is not None:
            await asyncio.to_thread(self._store.note_record, claim, int(record))

    async def _refused(self, action: Verify, refused: Refused) -> Done:
        """Tell the person about a refusal; a verification in progress stays in progress."""
        if isinstance(refused, Locked):
            log.warning("verify_locked", why=refused.why)
            refused = Refused("error.verify.locked")
        if await self._challenge(action.subject) is None:
            self._hush.closed(action.subject)
        return self._told(action, refusal_line(refused), result="refused")

    def _wrong(self, action: Verify, refused: Refused, one: StoredDialogue) -> Done:
        left = MAX_TRIES - one.tries
        if left <= 0:
            return self._ended(action, refusal_line(refused), line("error.verify.too-many"))
        count = (line("verify.tries-left", count=left),) if refused.key == _WRONG else ()
        return self._told(action, refusal_line(refused), *count, result="refused")

    def _later(self, action: Verify, error: Unavailable) -> RetryLater:
        given_up = self._told(action, line("error.verify.unavailable"), result="abandoned", code="unavailable")
        self._hush.opened(action.subject, self._clock() + 2 * _TRIES * _LAST_MS)
        return RetryLater(f"verification: {error.why}", given_up, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS)

    def _told(
        self,
        action: Verify,
        *lines: Line,
        result: ActionResult = "done",
        code: str = "-",
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> Done:
        told = (Tell(room=action.room, subject=action.subject, lines=lines, alone=True),) if lines else ()
        return Done(actions=told, result=result, code=code, also=also)

    def _ended(self, action: Verify, *lines: Line) -> Done:
        self._hush.closed(action.subject)
        return self._told(action, *lines, also=lambda db: verification_dialogues.end(db, action.subject))

    # The state between.

    async def _challenge(self, user: UserId) -> StoredDialogue | None:
        return await self._database.fetch(verification_dialogues.challenge_of, user)

    def _kept(self, one: StoredDialogue, step: DialogueStep) -> StoredDialogue:
        text = json.dumps(dict(step.state or {}))
        state = self._key.seal(text, "state", one.user, one.method, str(one.started))
        return replace(one, state=state, until=step.until_ms, poll=step.poll_ms)

    async def _state(self, one: StoredDialogue) -> dict[str, str | int]:
        place = ("state", one.user, one.method, str(one.started))
        state: dict[str, Any] = json.loads(await _stored(self._key.unseal, one.state, *place))
        return state


class _Damaged(Exception):
    """Raised if something in the identity store, or sealed under its key, is not what was stored."""


async def _stored(work: Callable[..., T], *given: Any) -> T:
    """Call the identity store in a thread. Damage there ends this verification, not the bot: raises `_Damaged`."""
    try:
        return await asyncio.to_thread(work, *given)
    except Broken as error:
        raise _Damaged(str(error)) from None


async def _asked(step: Awaitable[DialogueStep]) -> DialogueStep:
    """Await a method's answer. An `OSError` from its connection becomes `Unavailable`, unlike one from the disk."""
    try:
        return await step
    except OSError as error:
        raise Unavailable(type(error).__name__) from None
    except Broken as error:
        raise _Damaged(str(error)) from None


async def _holds(db: AsyncConnection, person: PersonId, method: str, until: int) -> bool:
    """Tell whether this very proof is in force: the same proof again is not a new one."""
    v = schema.verifications.c
    query = select(v.record).where(v.person == person, v.method == method, v.until == until, v.revoked == 0)
    return (await db.execute(query)).first() is not None
