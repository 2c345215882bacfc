"""A measure against a room in words: for everybody there, for the desk, for the owner, and for those who ask.

If the operator or neglect imposed it, the desk is also told what can be done. Left to others: who is told
(`moderation/consequences/`).
"""

from collections.abc import Iterable, Iterator

from moderation.model.context import InForce
from moderation.model.facts import SanctionEnded, SanctionExtended, SanctionStarted
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, Span, Who, line


def begun_here(fact: SanctionStarted) -> tuple[Line, ...]:
    """Return what everybody in the room is told when it begins."""
    return (line(f"measure.begun.{fact.kind}", every=Span(fact.every), server=Code(fact.server)), *_why(fact))


def ended_here(fact: SanctionEnded) -> tuple[Line, ...]:
    """Return what everybody in the room is told when it ends."""
    return (line(f"measure.ended.{fact.kind}", server=Code(fact.server), why=_ending(fact)),)


def begin_lines(fact: SanctionStarted) -> tuple[Line, ...]:
    """Return what the desk is told when it begins."""
    every, server = Span(fact.every), Code(fact.server)
    head = line(f"measure.desk.{fact.kind}", room=RoomName(fact.room or ""), n=fact.n, every=every, server=server)
    return (head, *_why(fact), _next(fact))


def longer(fact: SanctionExtended) -> Line:
    """Return what the desk and the owner are told when it is extended."""
    return line("measure.longer", room=RoomName(fact.room or ""), until=Moment(fact.until))


def end_line(fact: SanctionEnded) -> Line:
    """Return what the desk and the owner are told when it ends."""
    room, server = RoomName(fact.room or ""), Code(fact.server)
    return line(f"measure.over.{fact.kind}", room=room, server=server, why=_ending(fact))


def in_force(measures: Iterable[InForce]) -> list[Line]:
    """List the measures that hold for a room, and until when, as `!status` shows them; of denied servers the number."""
    every = tuple(measures)
    servers = sum(each.kind == "server" for each in every)
    denied = [line("status.servers", count=servers)] if servers else []
    return [*(_shown(each) for each in every if each.kind != "server"), *denied]


def _shown(each: InForce) -> Line:
    every, until = Span(each.every), Moment(each.until)
    if not each.n:  # the people who run the room ordered it themselves
        return line(f"status.ordered.{each.kind}", every=every, until=until if each.until else Phrase("status.no-end"))
    if each.until:
        return line(f"status.measure.{each.kind}", until=until, n=each.n, every=every)
    return line(f"status.measure-open.{each.kind}", n=each.n, every=every)


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


def _ending(fact: SanctionEnded) -> Phrase:
    own = {"command": "measure.ended-early", "list": "measure.ended-list"}
    return Phrase(own.get(fact.why, f"why-ended.{fact.why}"))
