"""Actions that follow from a measure against a room: its part of `moderation/consequences.py`.

Rules kept here:
- The room itself sees one short notice when a measure begins and one when it ends.
- If the operator or neglect imposed the measure, the desk is told the same, with what can be done.
- A measure that ends only to make place for another is not announced twice.
"""

from collections.abc import Iterator

from moderation.model.actions import Action, Align, Say, TellDesk
from moderation.model.facts import SanctionEnded, SanctionExtended, SanctionStarted
from moderation.values.notices import Line, Moment, Phrase, RoomName, Span, Who, line

WRITTEN = frozenset({"suspend", "close"})  # those written into the room's own settings


def begun(fact: SanctionStarted) -> Iterator[Action]:
    """Yield the actions when a measure against a room begins."""
    assert fact.room is not None
    if fact.kind in WRITTEN:
        yield Align(room=fact.room)
    every = Span(fact.every)
    yield Say(room=fact.room, lines=(line(f"measure.begun.{fact.kind}", every=every), *_why(fact)))
    if not fact.n:  # ordered by somebody who runs the room
        return
    desk = line(f"measure.desk.{fact.kind}", room=RoomName(fact.room), n=fact.n, every=every)
    yield TellDesk(room=fact.room, n=fact.n, lines=(desk, *_why(fact), _next(fact)))


def longer(fact: SanctionExtended) -> Iterator[Action]:
    """Yield the actions when it is extended."""
    assert fact.room is not None
    yield TellDesk(room=fact.room, lines=(_longer(fact),))


def over(fact: SanctionEnded) -> Iterator[Action]:
    """Yield the actions when it ends."""
    assert fact.room is not None
    if fact.kind in WRITTEN:
        yield Align(room=fact.room)
    if fact.why != "overtaken":
        yield Say(room=fact.room, lines=(line(f"measure.ended.{fact.kind}", why=_ending(fact)),))
        if fact.n:
            yield TellDesk(room=fact.room, n=fact.n, lines=(_over(fact),))


def say_longer(fact: SanctionExtended) -> Iterator[Line]:
    """Yield what the owner who is responsible for the room is told of an extension."""
    yield _longer(fact)


def say_over(fact: SanctionEnded) -> Iterator[Line]:
    """Yield what the owner who is responsible for the room is told of the end, unless they ended it."""
    if fact.why != "overtaken" and fact.by != fact.subject:
        yield _over(fact)


def _why(fact: SanctionStarted) -> Iterator[Line]:
    if fact.basis == "neglect":
        yield line("measure.neglect")
    if fact.until:
        key = "measure.within" if fact.kind == "rectify" else "notice.until"
        yield line(key, until=Moment(fact.until))
    if fact.reason:
        yield line("notice.reason", reason=fact.reason)


def _next(fact: SanctionStarted) -> Line:
    """Return what can be done about it."""
    if fact.basis == "neglect" and fact.kind == "close":
        return line("measure.next-closed", n=fact.n)
    if fact.basis == "command":
        return line(f"measure.ends.{fact.kind}", by=Who(fact.by))
    return line(f"measure.next.{fact.basis}", n=fact.n, by=Who(fact.by))


def _over(fact: SanctionEnded) -> Line:
    return line(f"measure.over.{fact.kind}", room=RoomName(fact.room or ""), why=_ending(fact))


def _longer(fact: SanctionExtended) -> Line:
    return line("measure.longer", room=RoomName(fact.room or ""), until=Moment(fact.until))


def _ending(fact: SanctionEnded) -> Phrase:
    return Phrase("measure.ended-early" if fact.why == "command" else f"why-ended.{fact.why}")
