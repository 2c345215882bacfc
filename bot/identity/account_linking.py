"""Links accounts of one person, when somebody proves an identity that already belongs to another account.

Rules kept here (docs/decisions/0019):
- Nobody is told whose the identity is, only that it is known.
- The other account is asked in its own direct room. It grants the link with a code that only the asking account was
  shown, so that neither a mailbox nor an account alone is enough.
- If the request is refused, or not answered within a day, nothing is kept.
- Two accounts are linked at once if the same issuer named the same subject for both within the last hour, or if an
  issuer named the subject of somebody who is barred.
- Nothing here is called inside a unit of work.
Left to others: proving (`dialogue.py`), the consequences of a link (`moderation/cases/obligations.py`,
`storage/projections/linked_accounts.py`).
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from bot.outbox.handler import BotPart, Services
from bot.texts.credit_lines import sanction_line
from moderation.model.actions.base import NO_ROOM
from moderation.model.actions.telling import Tell
from moderation.model.facts import OF_ROOMS, AccountsLinked, PersonVerified
from moderation.people.barred_list import is_entry
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.ids import PersonId, UserId
from moderation.values.notices import Code, Line, Moment, Who, line
from storage import queries
from storage.identity.store import IdentityStore, NewClaim
from storage.projections import person_of
from storage.state import link_requests
from storage.state.link_requests import LinkRequest

from .person_claims import ClaimsOfPeople

LAPSES_MS = DAY_MS
FRESH_MS = HOUR_MS
TRIES = 5
REFUSALS = frozenset({"no", "不", "不是", "否"})
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without letters and digits that look alike
_LENGTH = 8

Said = tuple[Line, ...]  # the reply to the account that speaks


class Linking(BotPart):
    """Offers to link accounts, asks the other account, and links them."""

    def __init__(self, services: Services, store: IdentityStore) -> None:
        super().__init__(services)
        self._claims = ClaimsOfPeople(services.database, store)
        self._refused: dict[UserId, int] = {}  # users who were refused, and until when (ms) they cannot ask

    async def taken(self, user: UserId, holder: PersonId, claim: NewClaim, level: int) -> Said:
        """Answer `user`, whose `claim` proved an identity of `holder` (`Taken.person`); link both at once if allowed.

        `level` is the level at which `user` would have been verified.
        """
        now = self._clock()
        async with self._database.read() as db:
            person = PersonId(await person_of(db, UserId(holder)))
            known = await queries.person_view(db, UserId(person), now_ms=now, recent_since=now)
        request = LinkRequest(
            user=user,
            person=person,
            method=claim.method,
            level=level,
            until=claim.expires_ms,
            lapses=now + LAPSES_MS,
        )
        if user in known.accounts:
            await self._claims.settle()
            return await self._link(request, UserId(person), None)
        barred = next((each for each in known.in_force if is_entry(each)), None)
        if claim.method == "oidc" and (barred or await self._claims.proved_since(person, claim.issuer, now - FRESH_MS)):
            return await self._link(request, UserId(person), "oidc")
        if barred is not None:
            return (line("verify.link.barred", until=Moment(barred.until)),)
        await self._pipeline.commit(also=partial(link_requests.put, request=request))
        return (line("verify.link.offer", link=self._command()),)

    async def asked(self, user: UserId, words: str) -> Said:
        """Answer `!verify link`: the asking account gives no words, the asked account the code or "no"."""
        words = words.strip()
        if not words:
            return await self._ask(user)
        async with self._database.read() as db:
            person = PersonId(await person_of(db, user))
            waiting = await link_requests.asked_of(db, person, self._clock())
        if not waiting:
            return (line("verify.link.nothing-asked"),)
        if words.lower() in REFUSALS:
            return await self._refuse(waiting)
        return await self._granted(user, waiting, _hashed(words))

    async def look(self) -> None:
        """Drop requests that nobody answered in time, and move claims that must follow their person."""
        await self._claims.settle_once()
        over = await self._database.fetch(link_requests.lapsed_requests, self._clock())
        if over:
            await self._drop(over, line("verify.link.lapsed"))

    def changed(self) -> None:
        """Note that accounts were linked, or a link was ended, elsewhere."""
        self._claims.must_settle()

    # The account that asks.

    async def _ask(self, user: UserId) -> Said:
        now = self._clock()
        async with self._database.read() as db:
            request = await link_requests.of_user(db, user, now)
            others = await queries.accounts_of(db, UserId(request.person)) if request else ()
        if request is None:
            return (line("verify.link.nothing"),)
        if self._refused.get(user, 0) > now:
            return (line("verify.link.refused"),)
        code = _new_code()
        asked = replace(request, code=_hashed(code), lapses=request.lapses if request.code else now + LAPSES_MS)
        # Asking again gives another code; the other account is asked only once.
        told = [] if request.code else [_tell(each, *self._question(asked)) for each in others]
        await self._pipeline.commit(actions=told, also=partial(link_requests.put, request=asked))
        return (line("verify.link.code", code=self._command(code), until=Moment(asked.lapses)),)

    def _question(self, asked: LinkRequest) -> Said:
        words = {"link": self._command("CODE"), "no": self._command("no")}
        return (
            line("verify.link.question", who=Who(asked.user)),
            line("verify.link.means"),
            line("verify.link.grant", until=Moment(asked.lapses), **words),
        )

    # The account that is asked.

    async def _refuse(self, waiting: Sequence[LinkRequest]) -> Said:
        self._refused.update({each.user: self._clock() + LAPSES_MS for each in waiting})
        await self._drop(waiting, line("verify.link.refused"))
        return (line("verify.link.refused-by-you"),)

    async def _granted(self, user: UserId, waiting: Sequence[LinkRequest], code: str) -> Said:
        granted = next((each for each in waiting if secrets.compare_digest(each.code, code)), None)
        if granted is not None:
            return await self._link(granted, user, "confirmed")
        spent = [each for each in waiting if each.tries + 1 >= TRIES]
        if spent:
            await self._drop(spent, line("verify.link.spent"))
            return (line("verify.link.spent"),)
        await self._pipeline.commit(also=partial(link_requests.count_wrong_code, users=_users(waiting)))
        return (line("verify.link.wrong-code"),)

    # Both.

    async def _link(self, request: LinkRequest, other: UserId, method: Literal["confirmed", "oidc"] | None) -> Said:
        """Record the link; what follows from the record tells both what it means. `method` None: linked already."""
        verified = PersonVerified(
            method=request.method,  # type: ignore[arg-type]
            level=request.level,
            until=request.until,
            subject=request.user,
        )
        link = AccountsLinked(method=method, subject=request.user, target=other) if method else None
        facts = (link, verified) if link else (verified,)
        holding = await self._holding(request.user, other) if link else ()
        await self._pipeline.commit(
            facts,
            actions=[_tell(request.user, *holding)] if holding else (),
            also=partial(link_requests.drop, users=[request.user]),
        )
        await self._claims.settle()
        # If an issuer linked them, this answers the new account; otherwise the other one.
        return (line("verify.link.done"), *(holding if method == "confirmed" else ()))

    async def _holding(self, *users: UserId) -> Said:
        """Return lines about the sanctions against either account, which are now in force against both."""
        now = self._clock()
        async with self._database.read() as db:
            people = [await queries.person_view(db, user, now_ms=now, recent_since=now) for user in users]
        own = {each.record: each for person in people for each in person.in_force if each.kind not in OF_ROOMS}
        if not own:
            return ()
        return (line("verify.link.holds"), *(sanction_line(each.kind, each.until) for _, each in sorted(own.items())))

    async def _drop(self, requests: Sequence[LinkRequest], words: Line) -> None:
        told = [_tell(each.user, words) for each in requests if each.code]
        await self._pipeline.commit(actions=told, also=partial(link_requests.drop, users=_users(requests)))

    def _command(self, word: str = "") -> Code:
        return Code(f"{self._prefix}verify link {word}".rstrip())


def _tell(user: UserId, *lines: Line) -> Tell:
    return Tell(room=NO_ROOM, subject=user, lines=lines, alone=True)


def _users(requests: Sequence[LinkRequest]) -> list[UserId]:
    return [each.user for each in requests]


def _new_code() -> str:
    drawn = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return f"{drawn[:4]}-{drawn[4:]}"


def _hashed(code: str) -> str:
    plain = "".join(each for each in code.upper() if each in _LETTERS)
    return hashlib.sha256(plain.encode()).hexdigest()
