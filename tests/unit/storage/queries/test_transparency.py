"""Figures for a transparency report: what belongs to a period, and what is made of it."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    Appealed,
    CaseDecided,
    CaseOpened,
    Fact,
    PartsErased,
    Reported,
    SanctionStarted,
    StatementGiven,
)
from moderation.values.ids import EventId, RoomId, UserId
from storage import queries
from storage.projections import project
from storage.queries import RuleFigures

ROOM, OTHER = RoomId("!room"), RoomId("!other")
ANNA, BEN, MAYA = (UserId(f"@{name}:example.org") for name in ("anna", "ben", "maya"))


async def happen(db: AsyncConnection, *facts: tuple[int, Fact]) -> None:
    """Apply facts, each at its time."""
    for index, (at, fact) in enumerate(facts, 1):
        await project(fact, db, index, at)


def opened(n: int, *, alone: bool = False, **more: Any) -> CaseOpened:
    state, decide = ("decided", "auto") if alone else ("open", "manager")
    said: dict[str, Any] = {"room": ROOM, "n": n, "rule": "spam", "grade": "minor", "due": 0, "subject": ANNA, **more}
    return CaseOpened(state=state, decide=decide, **said)  # type: ignore[arg-type]


def decided(n: int, what: Any, state: Any = "decided", by: UserId = MAYA) -> CaseDecided:
    return CaseDecided(room=ROOM, n=n, what=what, state=state, subject=ANNA, by=by)


def measure(n: int, kind: Any) -> SanctionStarted:
    return SanctionStarted(room=ROOM, n=n, kind=kind, basis="rule", rule="spam", subject=ANNA, event=EventId("$e"))


STORY: tuple[tuple[int, Fact], ...] = (
    (5, opened(1, alone=True)),  # before the period
    (10, opened(2, alone=True)),
    (10, measure(2, "redact")),
    (10, StatementGiven(room=ROOM, n=2, subject=ANNA, statement="{}")),
    (11, opened(3, alone=True)),
    (11, measure(3, "redact")),
    (12, opened(4)),
    (13, opened(5, rule="reported")),
    (13, Reported(room=ROOM, n=5, subject=ANNA, by=BEN)),
    (14, opened(6, rule="insults")),
    (15, opened(7, rule="by_order", alone=True, by=MAYA)),
    (15, measure(7, "mute")),
    (16, opened(8, rule="duty_overdue")),
    (16, measure(8, "demote")),
    (17, Reported(room=ROOM, n=5, subject=ANNA, channel="mail", words="look")),
    (20, Appealed(room=ROOM, n=2, subject=ANNA, due=0)),
    (26, decided(2, "dismissed", "reversed")),
    (30, decided(4, "upheld")),
    (33, decided(5, "dismissed")),
    (34, Appealed(room=ROOM, n=5, subject=BEN, due=0, report=1)),
    (38, decided(5, "dismissed", "affirmed", by=BEN)),
    (99, decided(6, "upheld")),  # after the period
    (99, opened(9, room=OTHER)),
)


async def test_the_figures_of_a_period(db: AsyncConnection) -> None:
    await happen(db, *STORY)
    figures = await queries.transparency_figures(db, 10, 99)
    assert figures == queries.TransparencyFigures(
        notices={"member": 1, "mail": 1},
        found={"automatically": 4, "reported": 1, "by-person": 1},
        alone=2,
        restrictions={"redact": 2, "mute": 1},
        statements=1,
        complaints={"person": 1, "reporter": 1},
        answers={"reversed": 1, "affirmed": 1},
        until_decided=19,  # 18 and 20
        until_notice_decided=20,
        until_answered=5,  # 6 and 4
        rules=(
            RuleFigures(rule="spam", alone=2, alone_reversed=1, upheld=1),
            RuleFigures(rule="insults", upheld=1),
        ),
    )
    spam = figures.rules[0]
    assert (spam.cases, spam.error_rate, spam.precision) == (3, 0.5, 2 / 3)


async def test_nothing_happened_in_a_period_or_in_rooms_that_a_reader_may_not_see(db: AsyncConnection) -> None:
    await happen(db, *STORY)
    nothing = queries.TransparencyFigures(
        notices={},
        found={},
        alone=0,
        restrictions={},
        statements=0,
        complaints={},
        answers={},
        until_decided=None,
        until_notice_decided=None,
        until_answered=None,
        rules=(),
    )
    assert await queries.transparency_figures(db, 200, 300) == nothing
    assert await queries.transparency_figures(db, 0, 300, []) == nothing
    of_other = await queries.transparency_figures(db, 0, 300, [OTHER])
    assert of_other.rules == await queries.rule_figures(db, 0, 300, [OTHER]) == (RuleFigures(rule="spam", waiting=1),)
    assert (of_other.rules[0].error_rate, of_other.rules[0].precision) == (None, None)


async def test_what_is_erased_still_counts(db: AsyncConnection) -> None:
    await happen(db, *STORY)
    before = await queries.transparency_figures(db, 10, 99)
    everything = f"1-{len(STORY)}"
    await project(PartsErased(parts=9, what="retention", records=f"{everything};1:{everything}"), db, 50, 120)
    assert await queries.transparency_figures(db, 10, 99) == before
