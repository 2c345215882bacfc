"""The card of a case: everything needed to decide it, and its state.

The same lines answer `!case`, for people whose client shows no cards.

Rules kept here:
- Those who answer for the case are named.
- Those who reported it are never named to a person it concerns (`report_lines.py`).

Left to others: what was said (`case_words.py`), posting it (`bot/effects/desk.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.credit.credit import entries_in_force, tier
from moderation.credit.ledger import account
from moderation.model.builtin_rules import OUTSIDE, TIER_LINKS, decided_by, ledger_of
from moderation.model.context import CaseView, PersonView
from moderation.model.reach import Spot
from moderation.policy import Policy
from moderation.values.ids import UserId
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, RuleText, Who, line
from storage import queries

MAX_NAMES = 10


@dataclass(frozen=True, slots=True)
class Card:
    """A case, the person it is about, and who answers for it."""

    case: CaseView
    person: PersonView
    place: Spot
    assigned: tuple[UserId, ...] = ()
    notes: Sequence[queries.CaseNote] = ()
    others: Sequence[CaseView] = ()  # undecided cases shown on the same card


async def read_card(db: AsyncConnection, n: int, now_ms: int) -> Card | None:
    """Read the card of a case; None if there is no such case."""
    case = await queries.case_view(db, n)
    if case is None:
        return None
    return Card(
        case=case,
        person=await queries.person_view(db, case.subject, now_ms=now_ms, recent_since=now_ms),
        place=await queries.place_of(db, case.room),
        assigned=await queries.assigned_to(db, n, case.asked),
        notes=await queries.notes_of(db, n),
        others=await queries.waiting_with(db, n),
    )


def card_lines(
    card: Card,
    policy: Policy,
    now_ms: int,
    prefix: str,
    *,
    words: Sequence[Line] = (),
    reported: Sequence[Line] = (),
    hides: bool = False,
) -> tuple[Line, ...]:
    """Return the card in lines.

    `words`: the lines about what was said (`case_words.py`); `reported`: those about reports; `hides`: what reporters
    wrote must not be shown (`report_lines.py`).
    """
    return (
        *_head(card, policy, now_ms),
        *words,
        *_about(card),
        *reported,
        *_others(card),
        *_state(card),
        *_appeal(card, hides=hides),
        _hint(card, prefix),
    )


def waiting_line(case: CaseView, *, several: bool = False) -> Line:
    """Return the line of one case in a list of those that wait; `several`: in more than one room."""
    return line(
        "cases.due-in" if several else "cases.due",
        n=case.n,
        grade=Phrase(f"grade.{case.grade}"),
        rule=RuleText(case.rule),
        who=Who(case.subject),
        state=Phrase(f"state.{case.state}"),
        due=Moment(case.due),
        **({"room": RoomName(case.room)} if several else {}),
    )


def past_line(case: CaseView) -> Line:
    """Return the line of one case in a list of those about a person."""
    return line(
        "cases.one",
        n=case.n,
        grade=Phrase(f"grade.{case.grade}"),
        rule=RuleText(case.rule),
        who=Who(case.subject),
        state=Phrase(f"state.{case.outcome or case.state}"),
        when=Moment(case.opened),
    )


def note_lines(card: Card) -> tuple[Line, ...]:
    """Return the notes on a case; for the card itself they stand in its thread."""
    return tuple(line("card.note", when=Moment(note.at), by=Who(note.by), words=note.words) for note in card.notes)


def _head(card: Card, policy: Policy, now_ms: int) -> Iterator[Line]:
    case = card.case
    yield line("card.head", n=case.n, grade=Phrase(f"grade.{case.grade}"), rule=RuleText(case.rule))
    yield _who(card, policy, now_ms)


def _about(card: Card) -> Iterator[Line]:
    if card.case.about:
        yield line("statement.about", n=card.case.about)


def _who(card: Card, policy: Policy, now_ms: int) -> Line:
    case, who = card.case, Who(card.case.subject)
    if not case.subject and case.rule == OUTSIDE:
        return line("card.about-room")
    own = account(card.person, ledger_of(case.rule), card.place, policy)
    points = own.balance(now_ms)
    before = sum(1 for entry in entries_in_force(own.entries) if entry.entry != "compensation" and entry.case != case.n)
    if ledger_of(case.rule) == "standing":
        return line("card.who-standing", who=who, standing=points, before=before)
    return line("card.who", who=who, credit=points, tier=tier(points, policy.tiers), before=before)


def _others(card: Card) -> Iterator[Line]:
    """Return the lines on everything else the same member reported at that time."""
    if card.others:
        yield line("card.also", count=len(card.others))
    for other in card.others:
        link = f"https://matrix.to/#/{other.room}/{other.messages[-1]}" if other.messages else ""
        yield line("card.also-one", n=other.n, who=Who(other.subject), words=other.excerpt, link=link)


def _state(card: Card) -> Iterator[Line]:
    case = card.case
    if case.outcome:
        yield _outcome(case)
        if case.reason:
            yield line("notice.reason", reason=case.reason)
        return
    if case.state in ("open", "acknowledged"):
        yield line("card.open-manager" if case.manages else "card.open", due=Moment(case.due))
    else:
        yield line(f"card.waits.{case.state}", due=Moment(case.due))
    yield from _answering(card)


def _outcome(case: CaseView) -> Line:
    if case.rule == TIER_LINKS:
        return line(f"card.waited.{case.outcome}", by=Who(case.by))
    return line(f"card.{case.outcome}", by=Who(case.by)) if case.by else line(f"card.{case.outcome}-by-rule")


def _answering(card: Card) -> Iterator[Line]:
    if card.assigned:
        named = ", ".join(card.assigned[:MAX_NAMES])
        yield line("card.answering", names=named)


def _appeal(card: Card, *, hides: bool) -> Iterator[Line]:
    case = card.case
    if case.state != "appealed":
        return
    by_reporter = case.outcome != "upheld"
    if case.appeal and not (by_reporter and hides):
        yield line("card.appeal-words", words=case.appeal)
    key = "card.appealed-report" if by_reporter else "card.appealed"
    if case.rule == TIER_LINKS:
        key = "card.appealed-waited"
    yield line(key, due=Moment(case.due))
    yield from _answering(card)


def _hint(card: Card, prefix: str) -> Line:
    case = card.case
    uphold, dismiss = Code(f"{prefix}uphold {case.n}"), Code(f"{prefix}dismiss {case.n}")
    if case.rule == TIER_LINKS:
        return line("card.hint.waits", uphold=uphold, dismiss=dismiss)
    if decided_by(case.rule) != "managers" and case.waits:
        return line(f"card.hint.for-{decided_by(case.rule)}", uphold=uphold, dismiss=dismiss)
    if card.others and not case.outcome:
        one = Code(f"{prefix}uphold {card.others[0].n}")
        return line("card.hint.several", n=case.n, one=one, uphold=uphold, dismiss=dismiss)
    hint = "card.hint.decided" if case.outcome else "card.hint.open"
    return line(hint, uphold=uphold, dismiss=dismiss)
