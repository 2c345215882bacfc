"""People are told of a measure against a room."""

from dataclasses import replace
from typing import Any

import pytest

from moderation.model.actions.base import Action
from moderation.model.actions.rooms import Align
from moderation.model.actions.telling import Say, Tell, TellDesk
from moderation.model.facts import CaseOpened, Fact, SanctionEnded, SanctionExtended, SanctionStarted
from moderation.values.ids import UserId
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, Span, Who, line
from tests.unit.moderation.builders import (
    MARK,
    NOON,
    OLGA,
    OPERA,
    ROOM,
    in_words_of,
    known,
)

NOBODY = UserId("")
HERE = RoomName(ROOM)
NONE = Code("")  # no server
UNTIL = line("notice.until", until=Moment(NOON))


def started(kind: Any, basis: Any, until: int = NOON, by: UserId = NOBODY, reason: str = "") -> SanctionStarted:
    return SanctionStarted(
        room=ROOM, kind=kind, until=until, n=3, basis=basis, rule="-", subject=OLGA, by=by, reason=reason
    )


def ended(kind: Any, why: Any, by: UserId = NOBODY) -> SanctionEnded:
    return SanctionEnded(room=ROOM, start=1, kind=kind, why=why, n=3, subject=OLGA, by=by)


def opened(rule: str, by: UserId = NOBODY, reason: str = "") -> CaseOpened:
    return CaseOpened(
        room=ROOM,
        n=3,
        rule=rule,
        grade="serious",
        decide="manager" if by else "auto",
        state="decided",
        due=0,
        subject=OLGA,
        by=by,
        reason=reason,
    )


def done(*facts: Fact) -> tuple[Action, ...]:
    return tuple(each for each in in_words_of(facts, lambda _user: ()) if not isinstance(each, Tell))


def told(*facts: Fact) -> list[Line]:
    about = known(user=OLGA, rule="room_order", events=())
    tells = [each for each in in_words_of(facts, lambda _user: (), known=about) if isinstance(each, Tell)]
    assert all(each.subject == OLGA for each in tells)
    return [one for each in tells for one in each.lines]


def desk(*lines: Line) -> TellDesk:
    return TellDesk(room=ROOM, n=3, lines=lines)


@pytest.mark.parametrize(("kind", "written"), [("suspend", True), ("close", True), ("slow", False)])
def test_its_beginning_is_announced_with_reason_and_remedy(kind: str, written: bool) -> None:
    pace = Span(30_000 if kind == "slow" else 0)
    reason = line("notice.reason", reason="quiet please")
    assert done(replace(started(kind, "command", by=MARK, reason="quiet please"), every=pace.ms)) == (
        *((Align(room=ROOM),) if written else ()),
        Say(room=ROOM, lines=(line(f"measure.begun.{kind}", every=pace, server=NONE), UNTIL, reason)),
        desk(
            line(f"measure.desk.{kind}", room=HERE, n=3, every=pace, server=NONE),
            UNTIL,
            reason,
            line(f"measure.ends.{kind}", by=Who(MARK)),
        ),
    )


def test_an_order_to_rectify_changes_no_level_and_names_the_date() -> None:
    within = line("measure.within", until=Moment(NOON))
    assert done(started("rectify", "neglect")) == (
        Say(
            room=ROOM,
            lines=(line("measure.begun.rectify", every=Span(0), server=NONE), line("measure.neglect"), within),
        ),
        desk(
            line("measure.desk.rectify", room=HERE, n=3, every=Span(0), server=NONE),
            line("measure.neglect"),
            within,
            line("measure.next.neglect", n=3, by=Who(NOBODY)),
        ),
    )


def test_a_room_closed_by_neglect_does_not_open_by_itself_and_that_is_said() -> None:
    last = done(started("close", "neglect", until=0))[-1]
    assert isinstance(last, TellDesk)
    assert last.lines[-1] == line("measure.next-closed", n=3)


def test_its_end_is_announced_once_unless_another_measure_follows() -> None:
    why = Phrase("why-ended.mended")
    over = line("measure.over.suspend", room=HERE, server=NONE, why=why)
    assert done(ended("suspend", "mended")) == (
        Align(room=ROOM),
        Say(room=ROOM, lines=(line("measure.ended.suspend", server=NONE, why=why),)),
        desk(over),
    )
    assert told(ended("suspend", "mended"))[0] == over
    assert done(ended("suspend", "overtaken")) == (Align(room=ROOM),)
    assert told(ended("suspend", "overtaken")) == []


def test_an_extension_is_told_in_the_desk_and_to_the_owner() -> None:
    longer = SanctionExtended(room=ROOM, start=1, kind="suspend", until=NOON, subject=OLGA)
    said = line("measure.longer", room=HERE, until=Moment(NOON))
    assert done(longer) == (TellDesk(room=ROOM, lines=(said,)),)
    assert told(longer)[0] == said


def test_the_owner_is_told_what_why_until_when_and_how_to_appeal() -> None:
    reason = line("notice.reason", reason="raid")
    order = (opened("room_order", OPERA, "raid"), started("suspend", "operator", by=OPERA, reason="raid"))
    assert told(*order) == [
        line("notice.own.room_order", room=HERE, n=3, about=0),
        reason,
        line("notice.measure.suspend", credit=-1),
        UNTIL,
        line("notice.foot", n=3),
    ]
    assert told(opened("by_order", MARK, "raid"), started("suspend", "command", by=MARK, reason="raid")) == [
        line("notice.command.suspend", room=HERE, by=Who(MARK), every=Span(0)),
        UNTIL,
        reason,
        line("notice.foot", n=3),
    ]


def test_owners_are_not_told_of_their_own_acts() -> None:
    assert told(opened("by_order", OLGA), started("close", "command", until=0, by=OLGA)) == []
    assert told(ended("close", "command", OLGA)) == []
    assert told(ended("close", "command", OPERA))[0] == line(
        "measure.over.close", room=HERE, server=NONE, why=Phrase("measure.ended-early")
    )
