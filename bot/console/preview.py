"""A decision before it is made: what would follow, what its person would be told, and what credit would be left.

Rules kept here:
- It is worked out by the very functions that decide (`moderation/cases/decide.py`, `moderation/consequences/`), on
  the tables as they are now, and changes nothing.
- Somebody who may not decide is told why, in the words of the refusal that they would get.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.texts.case_card import Card
from bot.texts.case_outcomes import outcomes
from bot.texts.notifications import in_words
from bot.texts.refusal import refusal_line
from moderation.cases.decide import decide
from moderation.cases.statements import StatementContext
from moderation.consequences import Known, consequences
from moderation.model.actions.telling import Tell
from moderation.model.context import CaseView, Context
from moderation.model.facts import CaseDecided, CreditChanged, Fact, Outcome
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, RoomId, UserId
from moderation.values.notices import Line, line
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


@dataclass(frozen=True, slots=True)
class Ground:
    """Everything that the visitor's decision of a case rests on."""

    case: CaseView
    by: UserId
    context: Context
    policy: Policy  # with the room's own rules
    visitors: Policy  # without them, and without rights that the visitor does not have here
    deciders: frozenset[UserId]  # all accounts of the one who decides
    sent: int  # when the first message was received
    is_reported: bool
    communities: Mapping[RoomId, str]  # of the rooms where the person is known


async def ground_of(visit: Visit, card: Card, by: UserId) -> Ground | None:
    """Return what a decision by `by`, who is the visitor, would rest on; None if the room is not known."""
    db, case, room = visit.db, card.case, card.room
    if room is None:
        return None
    event = await queries.said_row(db, case.events[0]) if case.events else None
    return Ground(
        case=case,
        by=by,
        context=Context(visit.now_ms, room, card.person, visit.site.bot, next_case=CaseNumber(0)),
        policy=await queries.policy_for(db, visit.policy, room, case.rule),
        visitors=visit.policy,
        deciders=frozenset(await queries.accounts_of(db, by)),
        sent=int(event.at) if event is not None else 0,
        is_reported=await queries.is_reported(db, case.n),
        communities=await queries.communities_of_person(db, case.subject) if case.subject else {},
    )


def preview(ground: Ground | None, what: Outcome, reason: str = "") -> Preview:
    """Return what a decision would bring."""
    if ground is None:
        return Preview(what, refused=line("console.decide.no_room"))
    case, context, policy = ground.case, ground.context, ground.policy
    try:
        facts = decide(case, what, by=ground.by, reason=reason, context=context, policy=policy, on=-1)
    except Refused as refused:
        return Preview(what, refused=refusal_line(refused))
    would = outcomes(case, context, policy, ground.by)
    return Preview(
        what,
        follows=(would.upheld if what == "upheld" else would.dismissed).lines,
        told=_told(ground, facts),
        left=next((fact.left for fact in reversed(facts) if isinstance(fact, CreditChanged)), None),
    )


def _told(ground: Ground, facts: Sequence[Fact]) -> tuple[Line, ...]:
    """Return the message that the person would get."""
    case, now_ms, code = ground.case, ground.context.now_ms, ground.context.room.code
    if not case.subject:
        return ()
    made = next(fact for fact in facts if isinstance(fact, CaseDecided))
    after = replace(case, outcome=made.what, state=made.state, decided=now_ms, by=made.by, reason=made.reason)
    after = replace(after, deciders=ground.deciders)
    about = StatementContext(after, code, ground.sent, ground.is_reported, ground.visitors)

    def rooms_of(_user: UserId, reach: str = "") -> tuple[RoomId, ...]:
        return tuple(room for room, community in ground.communities.items() if reach in ("", community))

    follows = in_words(consequences(facts, rooms_of, {}, Known({case.n: about}, now_ms)))
    told = [each for each in follows if isinstance(each, Tell) and each.subject == case.subject]
    return tuple(said for each in told for said in each.lines)
