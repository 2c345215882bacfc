"""The words that a case is about, with their context and their place, as the people who decide must see them.

Rules kept here:
- The words come from the journal, since the message may be gone and the table keeps only those of the first message.
- Each later message of one incident has a line, up to ten.
- The rule as it is today is applied again to choose the words. If it finds nothing, what the case kept is shown, or the
  beginning of the message.

Left to others: what else the card says (`case_card.py`).
"""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.judge import CompiledRule
from moderation.model.context import CaseView
from moderation.model.facts.cases import EXCERPT
from moderation.rules.check import Check, Judged, View
from moderation.rules.event_texts import found_in
from moderation.values.events import Text
from moderation.values.ids import EventId, RoomId
from moderation.values.notices import Line, Phrase, line
from storage import queries

MOST_LATER = 10
LATER = 120  # characters of a later message

SaidAt = Callable[[RoomId, int], Judged | None]  # (room, record index) -> what was said there


async def word_lines(
    db: AsyncConnection, case: CaseView, said_at: SaidAt, rules: Sequence[CompiledRule]
) -> tuple[Line, ...]:
    """Return what the card shows of the messages of a case; `rules`: those that hold in its room."""
    check = next((rule.check for rule in rules if rule.settings.name == case.rule), None)
    first = await _shown(db, case, case.events[0], said_at, check, EXCERPT) if case.events else None
    later = [await _shown(db, case, event, said_at, check, LATER) for event in case.events[1 : MOST_LATER + 1]]
    kept = Text("body", case.excerpt) if case.excerpt else None
    return (*_first(case, first or kept), *_later(case, later))


def _first(case: CaseView, text: Text | None) -> Iterator[Line]:
    if text is not None:
        yield line("card.words", words=text.value)
    if text is not None and text.where != "body":
        yield line("card.stood", where=Phrase(f"card.where.{text.where}"))
    if case.events:
        yield line("card.link", link=_link(case, case.events[0]))
    if len(case.events) > 1:
        yield line("card.more", count=len(case.events))


def _later(case: CaseView, texts: Sequence[Text | None]) -> Iterator[Line]:
    for event, text in zip(case.events[1:], texts, strict=False):
        where = Phrase(f"card.where.{text.where if text is not None else 'body'}")
        words = text.value if text is not None else "…"
        yield line("card.later", words=words, where=where, link=_link(case, event))
    if (more := len(case.events) - 1 - MOST_LATER) > 0:
        yield line("card.later-more", count=more)


async def _shown(
    db: AsyncConnection, case: CaseView, event: EventId, said_at: SaidAt, check: Check | None, most: int
) -> Text | None:
    """Return the text of an event in which the rule finds something, cut around it; None if nothing was kept."""
    row = await queries.event_row(db, event)
    said = said_at(case.room, row.record) if row is not None and row.room == case.room else None
    if said is None or not said.texts:
        return None
    return found_in(said.texts, check.check(said, View()) if check is not None else None, most)


def _link(case: CaseView, event: EventId) -> str:
    return f"https://matrix.to/#/{case.room}/{event}"
