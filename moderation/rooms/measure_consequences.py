"""What must be said and done because of a measure against a room: its part of `moderation/consequences.py`.

Rules kept here: the room itself sees one short notice when a measure begins and one when it ends; of what the operator
or neglect brought, its desk hears the same with what can be done; of what only makes place for another measure nobody
is told twice.
"""

from collections.abc import Iterator

from moderation.model.actions import Action, Align, Say, TellDesk
from moderation.model.facts import SanctionEnded, SanctionExtended, SanctionStarted
from moderation.values.notices import Line, Moment, Phrase, RoomName, Span, Who, line

WRITTEN = frozenset({"suspend", "close"})  # those that stand in the room's own settings


def begun(fact: SanctionStarted) -> Iterator[Action]:
    """A measure against a room begins."""
    assert fact.room is not None
    if fact.kind in WRITTEN:
        yield Align(room=fact.room)
    every = Span(fact.every)
    yield Say(room=fact.room, lines=(line(f"measure.begun.{fact.kind}", every=every), *_why(fact)))
    if not fact.n:  # whoever ordered it runs the room
        return
    desk = line(f"measure.desk.{fact.kind}", room=RoomName(fact.room), n=fact.n, every=every)
    yield TellDesk(room=fact.room, n=fact.n, lines=(desk, *_why(fact), _next(fact)))


def longer(fact: SanctionExtended) -> Iterator[Action]:
    """It lasts longer."""
    assert fact.room is not None
    yield TellDesk(room=fact.room, lines=(_longer(fact),))


def over(fact: SanctionEnded) -> Iterator[Action]:
    """It is over."""
    assert fact.room is not None
    if fact.kind in WRITTEN:
        yield Align(room=fact.room)
    if fact.why != "overtaken":
        yield Say(room=fact.room, lines=(line(f"measure.ended.{fact.kind}", why=_ending(fact)),))
        if fact.n:
            yield TellDesk(room=fact.room, n=fact.n, lines=(_over(fact),))


def say_longer(fact: SanctionExtended) -> Iterator[Line]:
    """What the owner who answers for the room is told."""
    yield _longer(fact)


def say_over(fact: SanctionEnded) -> Iterator[Line]:
    """What the owner who answers for the room is told, unless they ended it themselves."""
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
    """What can be done about it."""
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
