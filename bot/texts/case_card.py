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

from moderation.cases.claim import can_be_extended, more_time
from moderation.cases.together import belonging_with
from moderation.credit.credit import entries_in_force
from moderation.credit.ledger import account
from moderation.model.builtin_rules import (
    ABOUT_NOBODY,
    LISTED_SERVER,
    OUTSIDE,
    OWN_RULES,
    TIER_LINKS,
    decided_by,
    ledger_of,
)
from moderation.model.context import CaseView, Context, PersonView, RoomView
from moderation.model.reach import Spot
from moderation.policy import Policy
from moderation.values.ids import CaseNumber, UserId
from moderation.values.notices import Code, Line, Moment, Phrase, Quoted, RoomName, RuleText, Span, Who, line
from storage import queries

from .case_outcomes import Outcomes, outcomes
from .case_words import message_link

MAX_NAMES = 10
UNKNOWN = Outcomes()


@dataclass(frozen=True, slots=True)
class Card:
    """A case, the person it is about, and who answers for it."""

    case: CaseView
    person: PersonView
    room: RoomView | None  # None: the bot does not serve it
    place: Spot
    bot: UserId
    outcomes: Outcomes = UNKNOWN
    assigned: tuple[UserId, ...] = ()
    notes: Sequence[queries.CaseNote] = ()
    others: Sequence[CaseView] = ()  # undecided cases shown on the same card
    together: int = 0  # how many cases belong together with it, itself included
    listed: Sequence[queries.ListedServer] = ()  # the entries of policy lists about a server that brought it
    gone: bool | None = None  # whether its first message is removed from the room; None: not known
    names_room: bool = False  # since it stands among cards of other rooms


async def read_card(db: AsyncConnection, n: int, now_ms: int, policy: Policy, bot: UserId) -> Card | None:
    """Read the card of a case; None if there is no such case. `policy` is the operator's."""
    case = await queries.case_view(db, n)
    if case is None:
        return None
    person = await queries.person_view(db, case.subject, now_ms=now_ms, recent_since=now_ms)
    assigned = await queries.assigned_to(db, n, case.asked)
    room = await queries.room_view(db, case.room, bot)
    return Card(
        case=case,
        person=person,
        room=room,
        place=Spot(case.room, room.community if room is not None else ""),
        bot=bot,
        outcomes=await _outcomes(db, case, person, room, assigned, policy, now_ms, bot) if room else UNKNOWN,
        assigned=assigned,
        notes=await queries.notes_of(db, n),
        others=await queries.waiting_with(db, n),
        together=len(belonging_with(case, await _waiting(db, case), policy)),
        listed=await queries.listed_servers(db, n=n) if case.rule == LISTED_SERVER else (),
        gone=True if case.messages and ("redact", case.messages[0]) in case.done else None,
    )


async def _waiting(db: AsyncConnection, case: CaseView) -> Sequence[CaseView]:
    return () if case.outcome else await queries.waiting_cases(db, [case.room], queries.MOST_WAITING)


async def _outcomes(
    db: AsyncConnection,
    case: CaseView,
    person: PersonView,
    room: RoomView,
    assigned: Sequence[UserId],
    policy: Policy,
    now_ms: int,
    bot: UserId,
) -> Outcomes:
    context = Context(now_ms=now_ms, room=room, subject=person, bot=bot, next_case=CaseNumber(0))
    by = next(iter(assigned), UserId(""))
    return outcomes(case, context, await queries.policy_for(db, policy, room, case.rule), by)


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
        *((line("card.room", room=RoomName(card.case.room)),) if card.names_room else ()),
        *_head(card, policy, now_ms),
        *words,
        *_there(card),
        *_about(card),
        *_comments(card),
        *reported,
        *_others(card),
        *_elsewhere(card),
        *_state(card, now_ms),
        *_appeal(card, hides=hides),
        *_hint(card, prefix),
        *_later(card, policy, now_ms, prefix),
        *_together(card, prefix),
    )


def waiting_line(case: CaseView, *, several: bool = False) -> Line:
    """Return the line of one case in a list of those that wait; `several`: in more than one room."""
    return line(
        "cases.due-in" if several else "cases.due",
        n=case.n,
        grade=Phrase(f"grade.{case.grade}"),
        rule=RuleText(case.rule),
        who=Who(case.subject),
        state=Phrase("state.claimed" if case.claimed else f"state.{case.state}"),
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
    notes = (note for note in card.notes if not card.case.is_about(note.by))
    return tuple(line("card.note", when=Moment(note.at), by=Who(note.by), words=note.words) for note in notes)


def _comments(card: Card) -> Iterator[Line]:
    """Yield what the person whom the case concerns said about it."""
    for note in card.notes:
        if note.words and card.case.is_about(note.by):
            yield line("card.comment", who=Who(note.by), words=Quoted(note.words))


def _head(card: Card, policy: Policy, now_ms: int) -> Iterator[Line]:
    case = card.case
    yield line("card.head", n=case.n, grade=Phrase(f"grade.{case.grade}"), rule=RuleText(case.rule))
    yield from map(_listed, card.listed)
    if case.rule in ABOUT_NOBODY:
        return
    if not case.subject:
        yield line("card.about-room" if case.rule == OUTSIDE else "card.about-erased")
        return
    yield _who(card, policy, now_ms)
    if since := card.person.since.get(case.room):
        yield line("card.since", since=Moment(since))


def _listed(listed: queries.ListedServer) -> Line:
    return line(
        "card.about-server",
        server=Code(listed.server),
        list=listed.list,
        author=Code(listed.author),
        reason=Quoted(listed.reason or "-"),
        people=listed.people,
    )


def _there(card: Card) -> Iterator[Line]:
    """Say whether what the case is about can still be read in the room."""
    if _stands(card.case):
        yield line("card.there.stands")
    if card.case.withheld:
        yield line("card.there.withheld" if card.case.outcome else "card.there.held")
    if card.gone is None or not card.case.messages:
        return
    if not card.gone:
        yield line("card.there.visible")
    else:
        yield line("card.there.removed" if card.case.outcome else "card.there.hidden")


def _stands(case: CaseView) -> bool:
    """Return whether a case is about something that cannot be redacted, such as a name, and nobody was removed."""
    about_state = bool(case.events) and not (case.messages or case.withheld) and case.rule not in OWN_RULES
    answered = any(kind in ("redact", "kick", "ban") for kind, _ in case.done)
    return about_state and case.outcome != "dismissed" and not answered


def _about(card: Card) -> Iterator[Line]:
    if card.case.about:
        yield line("statement.about", n=card.case.about)


def _who(card: Card, policy: Policy, now_ms: int) -> Line:
    case, who = card.case, Who(card.case.subject)
    own = account(card.person, ledger_of(case.rule), card.place, policy)
    points, full = own.balance(now_ms), min(own.settings.start, own.settings.ceiling)
    before = {entry.case for entry in entries_in_force(own.entries) if entry.entry != "compensation"} - {case.n}
    if ledger_of(case.rule) == "standing":
        return line("card.who-standing", who=who, standing=points, full=full, before=len(before))
    return line("card.who", who=who, credit=points, full=full, before=len(before))


def _elsewhere(card: Card) -> Iterator[Line]:
    """Say in which rooms an order holds that was given for several; a reversal takes back all of it."""
    if card.case.elsewhere:
        yield line("card.elsewhere", count=len(card.case.elsewhere) + 1)


def _others(card: Card) -> Iterator[Line]:
    """Return the lines on everything else the same member reported at that time."""
    if card.others:
        yield line("card.also", count=len(card.others))
    for other in card.others:
        link = message_link(other.room, other.messages[-1], card.bot) if other.messages else ""
        yield line("card.also-one", n=other.n, who=Who(other.subject), words=Quoted(other.excerpt), link=link)


def _state(card: Card, now_ms: int) -> Iterator[Line]:
    case = card.case
    if case.outcome:
        yield _outcome(card)
        if case.reason:
            yield line("notice.reason", reason=case.reason)
        return
    if case.state in ("open", "acknowledged") and case.due > now_ms:
        key = "card.open-manager" if case.manages else "card.open"
        yield line(key, due=Moment(case.due))
    elif case.state in ("open", "acknowledged"):
        yield line("card.waits.overdue")
    else:
        yield line(f"card.waits.{case.state}", due=Moment(case.due))
    yield from _answering(card)


def _outcome(card: Card) -> Line:
    case = card.case
    if case.rule == TIER_LINKS:
        return line(f"card.waited.{case.outcome}", by=Who(case.by))
    if case.by:
        return line(f"card.{case.outcome}", by=Who(case.by))
    if case.outcome == "upheld":
        return line("card.upheld-by-rule", what=card.outcomes.done)
    return line("card.dismissed-by-rule")


def _answering(card: Card) -> Iterator[Line]:
    if card.case.claimed:
        yield line("card.claimed", who=Who(card.case.claimed))
    if card.assigned:
        named = ", ".join(card.assigned[:MAX_NAMES])
        yield line("card.answering", names=named)


def _appeal(card: Card, *, hides: bool) -> Iterator[Line]:
    case = card.case
    if case.state != "appealed":
        return
    by_reporter = case.outcome != "upheld"
    if case.appeal and not (by_reporter and hides):
        yield line("card.appeal-words", words=Quoted(case.appeal))
    key = "card.appealed-report" if by_reporter else "card.appealed"
    yield line(key, due=Moment(case.due))
    yield from _answering(card)


def _hint(card: Card, prefix: str) -> Iterator[Line]:
    """Yield what can be pressed or typed, and what it brings."""
    case, after = card.case, card.outcomes
    if case.state == "closed":
        return
    uphold, dismiss = Code(f"{prefix}uphold {case.n}"), Code(f"{prefix}dismiss {case.n}")
    if case.rule == TIER_LINKS:
        yield line("card.hint.waits", uphold=uphold, dismiss=dismiss)
    elif case.outcome == "upheld":
        key = "appealed" if case.state == "appealed" else "by-person" if case.by else "by-rule"
        yield line(f"card.hint.upheld.{key}", brings=after.dismissed, uphold=uphold, dismiss=dismiss)
    elif card.others and not case.outcome:
        one = Code(f"{prefix}uphold {card.others[0].n}")
        yield line("card.hint.several", n=case.n, one=one, brings=after.upheld, uphold=uphold, dismiss=dismiss)
    elif case.waits and (level := decided_by(case.rule)) != "managers":
        yield line(
            f"card.hint.for.{level}", brings=after.upheld, returns=after.dismissed, uphold=uphold, dismiss=dismiss
        )
    elif case.waits:
        yield line("card.hint.open", brings=after.upheld, returns=after.dismissed, uphold=uphold, dismiss=dismiss)
    else:
        yield line("card.hint.dismissed", brings=after.upheld, uphold=uphold)


def _later(card: Card, policy: Policy, now_ms: int, prefix: str) -> Iterator[Line]:
    """Yield how the deadline can be put off, while it can."""
    if can_be_extended(card.case, policy, now_ms):
        span = Span(more_time(card.case, policy))
        yield line("card.hint.later", span=span, later=Code(f"{prefix}later {card.case.n}"))


def _together(card: Card, prefix: str) -> Iterator[Line]:
    """Yield how the cases that belong together can be decided at once."""
    if card.together:
        yield line("card.hint.together", count=card.together, together=Code(f"{prefix}together {card.case.n}"))
