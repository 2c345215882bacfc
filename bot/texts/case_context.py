"""The context of a case, beyond its card: messages before and after, the rule, and earlier cases of the person.

Rules kept here:
- Words of others are shown only where the log keeps them, and not those that somebody took back since.
- Who asks for it is recorded (`bot/commands/reading.py`).

Left to others: the card (`case_card.py`), the words of the case itself (`case_words.py`).
"""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import CaseView
from moderation.values.events import MessagePosted, Redacted
from moderation.values.ids import UserId
from moderation.values.notices import Line, Moment, Phrase, Quoted, RuleText, Who, line
from storage import queries

from .case_card import past_line
from .case_words import SaidAt

AROUND = 3  # messages before the first one of the case, and as many after it
LONGEST = 160  # characters of each
MOST_EARLIER = 10
LOOKED_AT = 50  # cases of a person, the newest first


async def context_lines(db: AsyncConnection, case: CaseView, said_at: SaidAt, bot: UserId) -> tuple[Line, ...]:
    """Return the context of a case in lines."""
    around = await _around(db, case, said_at, bot)
    earlier = await queries.cases_of(db, case.subject, case.room, LOOKED_AT) if case.subject else []
    return (
        *(around or ((line("around.none"),) if case.events else ())),
        line("around.rule", rule=RuleText(case.rule), grade=Phrase(f"grade.{case.grade}")),
        *_earlier(case, [each for each in earlier if each.n < case.n][:MOST_EARLIER]),
    )


async def _around(db: AsyncConnection, case: CaseView, said_at: SaidAt, bot: UserId) -> tuple[Line, ...]:
    """Return the messages before and after the first one of a case, and its place among them."""
    if not case.events or (row := await queries.said_row(db, case.events[0])) is None:
        return ()
    records = await queries.messages_around(db, case.room, row.record, bot, AROUND)
    removals = (said_at(case.room, record) for record in await queries.redactions_since(db, case.room, records))
    gone = {event.target for event in removals if isinstance(event, Redacted)}
    said = [each for record in records if isinstance(each := said_at(case.room, record), MessagePosted) and each.body]
    shown = [each for each in said if each.event not in gone or each.event in case.events]
    if all(each.event in case.events for each in shown):
        return ()
    return (line("around.head"), *(_message(each, case) for each in shown))


def _message(said: MessagePosted, case: CaseView) -> Line:
    words = said.body if len(said.body) <= LONGEST else f"{said.body[: LONGEST - 1]}…"
    key = "around.of-case" if said.event in case.events else "around.said"
    return line(key, when=Moment(said.received_ms), who=Who(said.sender), words=Quoted(words))


def _earlier(case: CaseView, cases: Sequence[CaseView]) -> Iterator[Line]:
    if not case.subject:
        return
    if not cases:
        yield line("around.no-earlier", who=Who(case.subject))
        return
    yield line("around.earlier", who=Who(case.subject), count=len(cases))
    yield from map(past_line, cases)
