"""Operations on what members proved: read it, forget it, and change the key that opens it.

They are asked for by the operator, by the calendar, or by people about themselves.

Rules kept here:
- Reading takes a reason and a case that is about the person. It is recorded, in a part of each of their accounts, and
  signed, before anything is shown.
- Forgetting is recorded before it is done.
- What a hold covers stays complete.
- While a measure is in force, it stays known, unreadable, that the person's identifiers were used, so that nobody
  escapes it by a new account.
- A change of keys is recorded when it begins and when it is done.

Left to others: keeping and sealing (`storage/identity/store.py`), who may ask (`control_socket.py`,
`bot/commands/personal_data.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.identity_key import GivenKey, key_in
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.model.facts import ClaimsForgotten, IdentityKeyChanged, IdentityRead
from moderation.values.errors import Refused
from moderation.values.events import Json
from moderation.values.ids import PersonId, UserId
from storage import queries
from storage.database.database import Database
from storage.identity.store import Claim, HeldClaim, IdentityStore, IdentityStoreState
from storage.journal.line_format import time_text
from storage.journal.retention.legal_holds import HoldsInForce, LegalHold
from storage.projections import person_of

from .request import ByName, Request

log = structlog.get_logger()

What = Literal["request", "operator", "retention"]
HoldsOf = Callable[[UserId], Awaitable[HoldsInForce]]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The result of forgetting a person's claims.

    It says how many went, whether marks stay, and which hold keeps the claims whole, until when.
    """

    claims: int = 0
    marks: bool = False
    held: LegalHold | None = None


NOTHING = Forgotten()


class IdentityOperations:
    """Operations that read, forget, and change the key."""

    def __init__(
        self,
        pipeline: Pipeline,
        database: Database,
        store: IdentityStore,
        given: GivenKey,
        data_dir: Path,
        clock: Clock,
        holds: HoldsOf,
    ) -> None:
        """Set up.

        `given`: where the key came from. `holds`: what must be kept of a person, including for measures in force.
        """
        self._pipeline = pipeline
        self._database = database
        self._store = store
        self._given = given
        self._data_dir = data_dir
        self._clock = clock
        self._holds = holds

    # Forgetting.

    async def forget(
        self,
        user: UserId,
        holds: HoldsInForce,
        *,
        what: What,
        reader: str = "",
        reason: str = "",
        dry_run: bool = False,
    ) -> Forgotten:
        """Destroy what the person behind an account proved about themselves, as far as `holds` allow."""
        person, accounts = await self._person(user)
        held = await asyncio.to_thread(self._store.held_of, person)
        keeping = next((hold for each in held if (hold := _covering(holds, each, accounts))), None)
        marks = _rests(holds)
        going = [each for each in held if each.fields or not marks]
        if keeping is not None or not going or dry_run:
            return Forgotten(0 if keeping else len(going), bool(held) and marks, keeping)
        fact = ClaimsForgotten(what=what, count=len(going), marks=int(marks), reader=reader, reason=reason)
        await self._recorded(fact)
        await asyncio.to_thread(self._store.keep_marks if marks else self._store.forget, person)
        return Forgotten(len(going), marks)

    async def drop_expired(self) -> int:
        """Drop what is over; marks and held claims stay while they must. Return how many claims were dropped."""
        drop: list[str] = []
        strip: list[str] = []
        for each in await asyncio.to_thread(self._store.expired, self._clock()):
            user = UserId(each.person)
            holds = await self._holds(user)
            if _covering(holds, each, (await self._person(user))[1]):
                continue
            if not _rests(holds):
                drop.append(each.id)
            elif each.fields:
                strip.append(each.id)
        if drop or strip:
            fact = ClaimsForgotten(what="retention", count=len(drop) + len(strip), marks=int(bool(strip)))
            await self._recorded(fact)
            await asyncio.to_thread(self._store.drop, drop, strip)
        return len(drop) + len(strip)

    async def _recorded(self, fact: ClaimsForgotten) -> None:
        await self._pipeline.journal.use(lambda _: None, fact, signed=True)

    # Reading.

    async def own(self, user: UserId) -> list[dict[str, Any]]:
        """Return what the person behind an account proved, for themselves. Raises `Locked` if there is something."""
        person, _ = await self._person(user)
        if not await asyncio.to_thread(self._store.held_of, person):
            return []
        return [as_dict(each) for each in await asyncio.to_thread(self._store.claims_of, person)]

    async def _person(self, user: UserId) -> tuple[PersonId, tuple[UserId, ...]]:
        async with self._database.read() as db:
            return PersonId(await person_of(db, user)), await queries.accounts_of(db, user)

    # For the control socket and the command line.

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {
            "identity-show": self._do_show,
            "identity-status": self._do_status,
            "identity-rotate": self._do_rotate,
            "identity-reset": self._do_reset,
        }

    async def _do_show(self, asked: Request) -> dict[str, Any]:
        user, n = asked.person, asked.number("case")
        person, accounts = await self._person(user)
        await self._database.fetch(_must_be_about, n, user, accounts)
        await asyncio.to_thread(self._store.must_be_open)
        reader, reason = asked.reader, asked.reason
        facts = [IdentityRead(n=n, subject=account, reader=reader, reason=reason) for account in accounts]
        record = await self._pipeline.journal.use(lambda journal: journal.size - 1, *facts, signed=True)
        claims = await asyncio.to_thread(self._store.claims_of, person)
        shown = [as_dict(each) for each in claims]
        return {"person": user, "accounts": list(accounts), "claims": shown, "record": record}

    async def _do_status(self, _asked: Request) -> dict[str, Any]:
        return status(self._given, await asyncio.to_thread(self._store.state))

    async def _do_rotate(self, asked: Request) -> dict[str, Any]:
        path = Path(asked.string("file"))
        given = key_in(path, self._data_dir)
        if given.kek is None:
            raise Refused(f"cli.identity.wrong.{given.wrong}", file=path)
        was = await asyncio.to_thread(self._store.may_rotate, given.kek)
        changed = partial(IdentityKeyChanged, key=given.kek.id, was=was, reader=asked.reader)
        await self._pipeline.commit((changed(step="begun"),))
        loop = asyncio.get_running_loop()

        def told(done: int, of: int) -> None:
            loop.call_soon_threadsafe(asked.progress, done, of)

        count = await asyncio.to_thread(self._store.rotate, given.kek, told)
        await self._pipeline.commit((changed(step="done"),))
        log.info("identity_key_changed", key=given.kek.id, was=was, keys=count)
        self._given = given
        return {"key": given.kek.id, "was": was, "keys": count, "file": str(path)}

    async def _do_reset(self, asked: Request) -> dict[str, Any]:
        """Destroy all that a lost key would open."""
        state = await asyncio.to_thread(self._store.state)
        if state.lock == "open":
            raise Refused("identity.not-lost")
        reader, reason = asked.reader, asked.reason
        await self._recorded(ClaimsForgotten(what="operator", count=state.claims, reader=reader, reason=reason))
        return {"claims": await asyncio.to_thread(self._store.reset)}


def status(given: GivenKey, state: IdentityStoreState | None) -> dict[str, Any]:
    """Return the state of the store and the source of its key; `state` None: there is no store yet."""
    said = asdict(state) if state else asdict(_NOTHING)
    path = str(given.path) if given.path else None
    return {"source": given.source, "file": path, "wrong": given.wrong or None, **said}


_NOTHING = IdentityStoreState(lock="no_key", key="", used=(), changing_to="", left=0, persons=0, claims=0, forgotten=0)


def as_dict(claim: Claim) -> dict[str, Any]:
    """Return a claim as JSON shows it."""
    return {
        "method": claim.method,
        "issuer": claim.issuer or None,
        "fields": dict(claim.fields),
        "created": claim.created_ms,
        "expires": claim.expires_ms,
        "record": claim.record if claim.record >= 0 else None,
    }


async def _must_be_about(db: AsyncConnection, n: int, user: str, accounts: tuple[UserId, ...]) -> None:
    """Raise `Refused` unless the case is about the person: without one their identity concerns nobody."""
    case = await queries.case_view(db, n)
    if case is None or case.subject not in accounts:
        raise Refused("cli.identity.other_case", n=n, who=user)


def _covering(holds: HoldsInForce, claim: HeldClaim, accounts: tuple[UserId, ...]) -> LegalHold | None:
    """Return the hold that was placed on a claim, as if the claim stood in the record of the verification."""
    skeleton: dict[str, Json] = {"i": claim.record, "t": time_text(claim.created_ms)}
    for hold in holds.holds:
        about = (hold.covers.fit_part({"mxid": account}) for account in accounts)
        if hold.index >= 0 and hold.covers.fit(skeleton) and any(about):
            return hold
    return None


def _rests(holds: HoldsInForce) -> bool:
    """Tell whether a measure or charge is in force: these hold without a record that placed a hold."""
    return any(hold.index < 0 for hold in holds.holds)
