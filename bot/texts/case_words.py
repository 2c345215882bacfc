"""The words that a case is about, with their context and their place, as the people who decide must see them.

Rules kept here:
- The words come from the journal, since the message may be gone and the table keeps only those of the first message.
- Each later message of one incident has a line, up to ten.
- The files of the first message are named by their kind: the words alone do not say that there was a picture.
- What the rule found is marked, and links in the words lead nowhere (`others_words.py`); the message itself is linked.
- The rule as it is today is applied again to choose the words. If it finds nothing, what the case kept is shown, or the
  beginning of the message.

Left to others: what else the card says (`case_card.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.judge import CompiledRule
from moderation.model.context import CaseView
from moderation.model.facts.cases import EXCERPT
from moderation.policy import RuleSettings
from moderation.rules.check import Check, Judged, View
from moderation.rules.event_texts import found_in
from moderation.rules.labels import LabelsRule
from moderation.values.events import Media, Where
from moderation.values.ids import EventId, RoomId, UserId, server_of
from moderation.values.notices import Code, Line, Link, Phrase, Quoted, line
from storage import queries

MOST_LATER = 10
LATER = 120  # characters of a later message

SaidAt = Callable[[RoomId, int], Judged | None]  # (room, record index) -> what was said there


@dataclass(frozen=True, slots=True)
class _Shown:
    """Words of a message, and where in it they stand."""

    words: Quoted
    where: Where = "body"


async def word_lines(
    db: AsyncConnection, case: CaseView, said_at: SaidAt, rules: Sequence[CompiledRule], bot: UserId
) -> tuple[Line, ...]:
    """Return what the card shows of the messages of a case; `rules`: those that hold in its room."""
    rule = next((rule for rule in rules if rule.settings.name == case.rule), None)
    check = rule.check if rule is not None else None
    said = [await _said(db, case, event, said_at) for event in case.events[: MOST_LATER + 1]]
    first, later = (_shown(said[0], check, EXCERPT), said[1:]) if said else (None, [])
    kept = _Shown(Quoted(case.excerpt)) if case.excerpt else None
    of_file = _in_file(rule.settings) if rule is not None else ()
    if of_file and first is not None:
        first = replace(first, where="body")  # not the words broke it
    head = (*_first(case, first or kept, said[0].media if said and said[0] else (), bot), *of_file)
    return (*head, *_later(case, [_shown(each, check, LATER) for each in later], bot))


def message_link(room: RoomId, event: EventId, bot: UserId) -> Link:
    """Return the address of a message; the server of the bot, which is in the room, is a way to it."""
    place = f"{quote(room, safe='!:')}/{quote(event, safe='$:')}"
    return Link(f"https://matrix.to/#/{place}?via={quote(server_of(bot), safe=':')}")


def _in_file(rule: RuleSettings) -> tuple[Line, ...]:
    """Return what a rule found in a file; nothing if it looks at the message itself."""
    if isinstance(rule, LabelsRule):
        labels = ", ".join(f"{name} ≥ {limit}" for name, limit in rule.labels.items())
        return (line("card.labels", plugin=Code(rule.plugin), labels=Code(labels)),)
    return (line("card.known-file"),) if rule.OF_FILES else ()


def _first(case: CaseView, shown: _Shown | None, files: Sequence[Media], bot: UserId) -> Iterator[Line]:
    if shown is not None:
        yield line("card.words", words=shown.words)
    elif case.events:
        yield line("card.no-words")
    if shown is not None and shown.where != "body":
        yield line("card.stood", where=Phrase(f"card.where.{shown.where}"))
    for kind, count in Counter(file.kind for file in files if file.is_sent).items():
        yield line("card.files", kind=Phrase(f"card.file.{kind}"), count=count)
    if case.events and case.events[0] not in case.withheld:
        yield line("card.link", link=message_link(case.room, case.events[0], bot))
    if len(case.events) > 1:
        yield line("card.more", count=len(case.events))


def _later(case: CaseView, texts: Sequence[_Shown | None], bot: UserId) -> Iterator[Line]:
    for event, shown in zip(case.events[1:], texts, strict=False):
        where = Phrase(f"card.where.{shown.where if shown is not None else 'body'}")
        words = shown.words if shown is not None else "…"
        if event in case.withheld:
            yield line("card.later-withheld", words=words, where=where)
            continue
        yield line("card.later", words=words, where=where, link=message_link(case.room, event, bot))
    if (more := len(case.events) - 1 - MOST_LATER) > 0:
        yield line("card.later-more", count=more)


async def _said(db: AsyncConnection, case: CaseView, event: EventId, said_at: SaidAt) -> Judged | None:
    """Return an event of a case; None if nothing was kept of it."""
    row = await queries.said_row(db, event)
    return said_at(case.room, row.record) if row is not None and row.room == case.room else None


def _shown(said: Judged | None, check: Check | None, most: int) -> _Shown | None:
    """Return the text of an event in which the rule finds something, cut around it; None if there is none."""
    if said is None or not said.texts:
        return None
    hit = check.check(said, View()) if check is not None else None
    text = found_in(said.texts, hit, most)
    return _Shown(_marked(text.value, hit.matched if hit is not None else ""), text.where) if text else None


def _marked(words: str, matched: str) -> Quoted:
    start = words.find(matched)
    return Quoted(words, start, start + len(matched)) if matched and start >= 0 else Quoted(words)
