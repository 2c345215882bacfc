"""A statement of reasons in words, for the person it concerns.

It says what was done, about what, how it was found and decided, and what can be done now. Left to others: what a
statement holds (`moderation/cases/statements.py`).
"""

from collections.abc import Iterator

from moderation.cases.statements import Measure, Statement
from moderation.values.notices import Line, Moment, Phrase, RoomName, RoomNames, RuleText, Who, line

from .ledger_lines import entry_line


def statement_lines(stated: Statement, room: str) -> tuple[Line, ...]:
    """Return all lines of a statement, as it was given. `room` is the id of the room it is about."""
    return (*reasons(stated, room), *_appeal(stated))


def reasons(stated: Statement, room: str) -> tuple[Line, ...]:
    """Return the lines of a statement without what could be done when it was given."""
    return tuple(_lines(stated, room))


def _appeal(stated: Statement) -> Iterator[Line]:
    if stated.appeal_until:
        yield line("statement.appeal", n=stated.case, until=Moment(stated.appeal_until))


def _lines(stated: Statement, room: str) -> Iterator[Line]:
    yield line("statement.head", n=stated.case, room=RoomName(room))
    yield line("statement.rule", rule=RuleText(stated.rule), grade=Phrase(f"grade.{stated.grade}"))
    yield from _what(stated)
    yield from _message(stated)
    yield line(f"statement.found.{stated.found}")
    yield from _decided(stated)


def _what(stated: Statement) -> Iterator[Line]:
    for measure in dict.fromkeys(stated.measures):
        yield _measure(measure)
    if stated.entry:
        yield entry_line(stated.ledger, stated.entry, stated.cost, stated.left)


def _measure(measure: Measure) -> Line:
    if measure.kind == "sweep":
        key, rooms = "statement.did-sweep-in" if measure.rooms else "statement.did-sweep", RoomNames(measure.rooms)
        return line(key, since=Moment(measure.since), count=measure.count, rooms=rooms)
    what = Phrase(f"statement.measure.{measure.kind}")
    where = Phrase("statement.everywhere" if measure.everywhere else "statement.here")
    if measure.rooms:
        rooms, key = RoomNames(measure.rooms), "statement.did-in-until" if measure.until else "statement.did-in"
        return line(key, what=what, rooms=rooms, until=Moment(measure.until))
    if measure.community and measure.until:
        until = Moment(measure.until)
        return line("statement.did-there-until", what=what, community=measure.community, until=until)
    if measure.community:
        return line("statement.did-there", what=what, community=measure.community)
    if measure.until:
        return line("statement.did-until", what=what, where=where, until=Moment(measure.until))
    return line("statement.did", what=what, where=where)


def _message(stated: Statement) -> Iterator[Line]:
    if stated.words and stated.sent:
        yield line("statement.message", when=Moment(stated.sent), words=stated.words)
    elif stated.sent:
        yield line("statement.message-without-words", when=Moment(stated.sent))
    if stated.messages > 1:
        yield line("statement.messages", count=stated.messages)
    if stated.about:
        yield line("statement.about", n=stated.about)
    for finding in stated.findings:
        if finding.matched:
            yield line("statement.matched", rule=RuleText(finding.rule), matched=finding.matched)
        elif finding.limit:
            rule = RuleText(finding.rule)
            yield line("statement.counted", rule=rule, count=finding.count, limit=finding.limit)


def _decided(stated: Statement) -> Iterator[Line]:
    if not stated.outcome:
        yield line("statement.interim")
    elif stated.automatic:
        yield line("statement.automatic", when=Moment(stated.decided))
    else:
        key = "statement.on-appeal" if stated.on_appeal else "statement.by-person"
        yield line(key, by=Who(stated.by), when=Moment(stated.decided), outcome=Phrase(f"state.{stated.outcome}"))
    if stated.reason:
        yield line("notice.reason", reason=stated.reason)
