"""A decision before it is made: what would follow, what its person would be told, and what credit would be left.

Rules kept here:
- It is worked out by the very functions that decide (`moderation/cases/decide.py`, `moderation/consequences.py`), on
  the tables as they are now, and changes nothing.
- Somebody who may not decide is told why, in the words of the refusal that they would get.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.texts.case_outcomes import outcomes
from bot.texts.notifications import in_words
from bot.texts.refusal import refusal_line
from moderation.cases.decide import decide
from moderation.cases.statements import StatementContext
from moderation.consequences import Known, consequences
from moderation.model.actions import Tell
from moderation.model.context import CaseView, Context, RoomView
from moderation.model.facts import CaseDecided, CreditChanged, Fact, Outcome
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, RoomId, UserId
from moderation.values.notices import Line
from storage import queries

from .visit import Visit


@dataclass(frozen=True, slots=True)
class Preview:
    """A decision that was not made. `refused`: why it cannot be; `left`: the points left afterwards, if they change."""

    what: Outcome
    follows: tuple[Line, ...] = ()
    told: tuple[Line, ...] = ()
    left: int | None = None
    refused: Line | None = None
    hides: bool = False  # what its person would be told is not shown, since that quotes what they said

    @property
    def without_words(self) -> "Preview":
        """The same for somebody who may not read what was said."""
        return replace(self, told=(), hides=bool(self.told))


async def preview(visit: Visit, case: CaseView, what: Outcome, by: UserId, reason: str = "") -> Preview:
    """Return what a decision by `by`, who is the visitor, would bring."""
    db, now_ms, bot = visit.db, visit.now_ms, visit.site.bot
    room = await queries.room_view(db, case.room, bot)
    if room is None:
        return Preview(what, refused=refusal_line(Refused("error.case.none", n=case.n)))
    person = await queries.person_view(db, case.subject, now_ms=now_ms, recent_since=now_ms)
    context = Context(now_ms=now_ms, room=room, subject=person, bot=bot, next_case=CaseNumber(0))
    policy = await queries.policy_for(db, visit.policy, room, case.rule)
    try:
        facts = decide(case, what, by=by, reason=reason, context=context, policy=policy, on=-1)
    except Refused as refused:
        return Preview(what, refused=refusal_line(refused))
    would = outcomes(case, context, policy, by)
    return Preview(
        what,
        follows=(would.upheld if what == "upheld" else would.dismissed).lines,
        told=await _told(db, await _decided(db, case, facts, now_ms), facts, room, visit.policy, now_ms),
        left=next((fact.left for fact in reversed(facts) if isinstance(fact, CreditChanged)), None),
    )


async def _decided(db: AsyncConnection, case: CaseView, facts: Sequence[Fact], now_ms: int) -> CaseView:
    """Return the case as it would be."""
    made = next(fact for fact in facts if isinstance(fact, CaseDecided))
    deciders = frozenset(await queries.accounts_of(db, made.by))
    after = replace(case, outcome=made.what, state=made.state, decided=now_ms, by=made.by, reason=made.reason)
    return replace(after, deciders=deciders)


async def _told(
    db: AsyncConnection, after: CaseView, facts: Sequence[Fact], room: RoomView, policy: Policy, now_ms: int
) -> tuple[Line, ...]:
    """Return the message that the person would get."""
    if not after.subject:
        return ()
    event = await queries.event_row(db, after.events[0]) if after.events else None
    reported = await queries.is_reported(db, after.n)
    about = StatementContext(after, room.code, int(event.at) if event is not None else 0, reported, policy)
    communities = await queries.communities_of_person(db, after.subject)

    def rooms_of(_user: UserId, reach: str = "") -> tuple[RoomId, ...]:
        return tuple(room for room, community in communities.items() if reach in ("", community))

    follows = in_words(consequences(facts, rooms_of, {}, Known({after.n: about}, now_ms)))
    told = [each for each in follows if isinstance(each, Tell) and each.subject == after.subject]
    return tuple(line for each in told for line in each.lines)
