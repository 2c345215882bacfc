"""What the tables have of cases, measures and ledgers."""

from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    ActionTaken,
    Appealed,
    CaseAssigned,
    CaseClaimed,
    CaseDecided,
    CaseGrew,
    CaseMoved,
    CaseOpened,
    CreditChanged,
    LevelKept,
    PartsErased,
    RecordsPurged,
    Reported,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
)
from moderation.model.ledger_entry import LedgerEntry
from moderation.rooms.align_people import KeptLevel
from moderation.values.events import MessagePosted
from moderation.values.ids import EventId, PersonId, UserId
from storage import queries, schema
from storage.projections import project_events
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    HOUR,
    MARK,
    NOON,
    OLGA,
    OTHER,
    ROOM,
    said,
)
from tests.unit.storage.projections.projecting import (
    MUTE,
    OPENED,
    apply,
    person,
    received,
    rows,
    the_case,
)


async def test_a_case_opens_grows_and_is_decided(db: AsyncConnection) -> None:
    await project_events(
        db, [(4, said("spam!", event="$said"), "message"), (6, said("spam", event="$more"), "message")]
    )
    await apply(db, OPENED)
    await apply(db, CaseGrew(room=ROOM, on=6, n=1, subject=ANNA, event=EventId("$more")), first=11, at=NOON + 5)
    case = await the_case(db)
    assert (case.state, case.outcome, case.opened, case.on) == ("open", "", NOON, 4)
    assert case.events == case.messages == ("$said", "$more")
    decided = CaseDecided(room=ROOM, on=9, n=1, what="dismissed", subject=ANNA, by=MARK, reason="a joke")
    await apply(db, decided, first=12, at=NOON + 7)
    case = await the_case(db)
    assert (case.state, case.outcome, case.by, case.reason, case.decided) == (
        "decided",
        "dismissed",
        MARK,
        "a joke",
        NOON + 7,
    )
    assert await queries.next_case(db) == 2
    assert await queries.waiting_cases(db, [ROOM], 9) == []


async def test_the_time_line_of_a_case_tells_who_did_what_but_not_who_reported(db: AsyncConnection) -> None:
    about: dict[str, Any] = {"room": ROOM, "n": 1}
    charged = CreditChanged(**about, entry="charge", cost=5, left=95, grade="minor", rule="spam", subject=ANNA)
    decided = CaseDecided(**about, what="dismissed", state="reversed", subject=ANNA, by=MARK, reason="no")
    ended = SanctionEnded(room=ROOM, start=11, kind="mute", why="reversed", subject=ANNA)
    await apply(db, OPENED, MUTE)
    await apply(
        db,
        CaseAssigned(**about, subject=OLGA, due=NOON + HOUR),
        Reported(**about, subject=ANNA, by=OLGA, reason="it hurts"),
        CaseMoved(**about, step="escalated", state="escalated_owner", asked="owner", due=NOON + HOUR),
        CaseClaimed(**about, by=MARK),
        replace(decided, what="upheld", state="decided"),
        charged,
        Appealed(**about, due=NOON + HOUR, subject=OLGA, report=1),
        decided,
        ended,
        first=20,
        at=NOON + 5,
    )
    assert [(row.record, row.step, row.what, row.by, row.subject) for row in await queries.time_line(db, 1)] == [
        (10, "opened", "", "", ANNA),
        (11, "measure", "mute", "", ANNA),
        (20, "assigned", "", "", OLGA),
        (21, "reported", "member", "", ANNA),
        (22, "escalated", "", "", ""),
        (23, "claimed", "", MARK, ""),
        (24, "decided", "upheld", MARK, ANNA),
        (25, "charge", "credit", "", ANNA),
        (26, "lodged", "report", "", ""),
        (27, "decided", "dismissed", MARK, ANNA),
        (-1, "measure-ended", "mute", "", ANNA),
    ]
    assert await queries.last_record_of(db, 1) == 27
    await apply(db, replace(MUTE, basis="decision"), first=30)
    assert [await queries.last_record_of(db, n) for n in (1, 2)] == [30, -1]
    await apply(db, replace(ended, start=30), first=31)
    await apply(db, PartsErased(parts=2, what="operator", records="22-25;1:27"), first=40)
    erased = [row for row in await queries.time_line(db, 1) if row.record in range(22, 28)]
    assert [(row.record, row.by, row.subject) for row in erased] == [
        (22, "", ""),
        (23, "", ""),
        (24, MARK, ""),
        (26, "", ""),
        (27, "", ANNA),
    ]
    await apply(db, RecordsPurged(below=99, what="command"), first=50)
    assert await rows(db, schema.case_steps) == []


async def test_a_case_that_a_rule_decided_is_born_upheld(db: AsyncConnection) -> None:
    await apply(
        db,
        CaseOpened(room=ROOM, on=4, n=1, rule="r", grade="minor", decide="auto", state="decided", due=0, subject=ANNA),
    )
    assert await rows(db, schema.cases, "state", "outcome", "decided", "by") == [("decided", "upheld", NOON, "")]


async def test_evidence_that_is_no_message_is_no_message(db: AsyncConnection) -> None:
    await project_events(db, [(4, received("m.room.topic", {"topic": "spam"}, key="", event="$said"), "state")])
    await apply(db, OPENED)
    case = await the_case(db)
    assert (case.events, case.messages) == (("$said",), ())


async def test_the_measures_of_a_case_are_known_until_they_are_taken_back(db: AsyncConnection) -> None:
    gone = SanctionStarted(room=ROOM, kind="redact", n=1, basis="rule", subject=ANNA, event=EventId("$said"))
    by_credit = SanctionStarted(kind="mute", n=1, basis="credit", until=NOON, subject=ANNA)
    await apply(db, OPENED, gone, MUTE, by_credit)
    case = await the_case(db)
    assert case.done == {("redact", "$said"), ("mute", "")}
    await apply(db, SanctionEnded(room=ROOM, start=12, kind="mute", why="reversed", n=1, subject=ANNA))
    case = await the_case(db)
    assert case.done == {("redact", "$said")}


async def test_a_message_that_went_for_another_reason_does_not_go_again(db: AsyncConnection) -> None:
    too_soon = SanctionStarted(
        room=ROOM, kind="redact", basis="rule", rule="room_slow", subject=ANNA, event=EventId("$said")
    )
    other = replace(too_soon, event=EventId("$other"))
    await apply(db, OPENED, too_soon, other)
    case = await the_case(db)
    assert case.done == {("redact", "$said")}


async def test_how_many_messages_a_pace_has_held_back_since_somebody_was_told(db: AsyncConnection) -> None:
    first = SanctionStarted(
        room=ROOM, kind="redact", basis="rule", rule="tier_slow", subject=ANNA, event=EventId("$said"), every=30_000
    )
    more = [replace(first, event=EventId(f"$said{n}"), quiet=1) for n in range(3)]
    await apply(db, first)
    await apply(db, *more, replace(first, room=OTHER, quiet=1), first=20)  # all in one moment
    person = await queries.person_view(db, ANNA, now_ms=NOON, recent_since=NOON)
    told = person.told[ROOM, "tier_slow"]
    assert told == NOON
    event = received("m.room.message", {"msgtype": "m.text", "body": "hello"}, event="$now")
    assert isinstance(event, MessagePosted)
    assert await queries.held_back(db, person, event, "tier_slow") == 3
    assert await queries.held_back(db, person, event, "room_slow") == 0


async def test_an_entry_of_the_ledger(db: AsyncConnection) -> None:
    charge = CreditChanged(
        room=ROOM, on=4, entry="charge", cost=5, grade="minor", rule="spam", n=1, left=95, subject=ANNA
    )
    undone = CreditChanged(
        room=ROOM,
        on=9,
        entry="compensation",
        cost=0,
        grade="minor",
        rule="spam",
        n=1,
        undoes=10,
        left=100,
        subject=ANNA,
    )
    await apply(db, charge, undone)
    assert (await person(db)).entries == (
        LedgerEntry(10, PersonId(ANNA), NOON, "charge", 5, "minor", "spam", 1, ROOM),
        LedgerEntry(11, PersonId(ANNA), NOON, "compensation", 0, "minor", "spam", 1, ROOM, 10),
    )


async def test_a_sanction_begins_lasts_longer_and_ends(db: AsyncConnection) -> None:
    await apply(db, MUTE)
    assert [(held.record, held.until) for held in await queries.sanctions_in(db, ROOM)] == [(10, NOON + HOUR)]
    await apply(db, SanctionExtended(room=ROOM, start=10, kind="mute", until=NOON + DAY, subject=ANNA), first=20)
    assert (await queries.next_times(db)).sanction == NOON + DAY
    assert [held.record for held in await queries.sanctions_due(db, NOON + DAY, 0)] == [10]
    assert await queries.sanctions_due(db, NOON + DAY - 1, 0) == ()
    await apply(db, SanctionEnded(room=ROOM, start=10, kind="mute", why="time", subject=ANNA), first=21, at=NOON + DAY)
    assert await queries.sanctions_in(db, ROOM) == ()
    assert await rows(db, schema.sanctions, "record", "ended", "why_ended") == [(10, NOON + DAY, "time")]


async def test_a_sanction_everywhere_holds_in_every_room_and_a_moments_measure_does_not_last(
    db: AsyncConnection,
) -> None:
    await apply(
        db,
        SanctionStarted(kind="ban", basis="credit", until=NOON + DAY, subject=ANNA),
        SanctionStarted(room=ROOM, kind="kick", basis="command", subject=ANNA, by=MARK),
        SanctionStarted(room=OTHER, kind="mute", basis="rule", subject=ANNA),
    )
    assert [held.kind for held in await queries.sanctions_in(db, ROOM, (ANNA,))] == ["ban"]
    assert [held.kind for held in await queries.sanctions_in(db, OTHER, (ANNA,))] == ["ban", "mute"]


async def test_kept_levels_of_a_room_follow_each_step(db: AsyncConnection) -> None:
    async def step(name: Any, held: str = "-1") -> dict[Any, KeptLevel]:
        await apply(db, LevelKept(room=ROOM, step=name, prior="50", held=held, subject=MARK))
        return await queries.holds_in(db, ROOM)

    key = (MARK, "level")
    assert await step("intended") == {key: KeptLevel(MARK, "level", "intended", "50", "-1")}
    assert await step("held") == {key: KeptLevel(MARK, "level", "held", "50", "-1")}
    assert await step("corrected") == {key: KeptLevel(MARK, "level", "held", "50", "-1", 1)}
    assert await step("corrected") == {key: KeptLevel(MARK, "level", "held", "50", "-1", 2)}
    assert await step("overruled", "60") == {key: KeptLevel(MARK, "level", "overruled", "50", "60", 2)}
    assert await step("released") == {}
    assert await step("held") == {key: KeptLevel(MARK, "level", "held", "50", "-1")}


async def test_a_new_measure_against_a_room_takes_up_again_what_was_left_alone_of_the_room_only(
    db: AsyncConnection,
) -> None:
    nobody, posting = UserId(""), "posting m.reaction"
    await apply(
        db,
        LevelKept(room=ROOM, step="overruled", what=posting, prior="-", held="0"),
        LevelKept(room=ROOM, step="overruled", prior="50", held="60", subject=OLGA),
        SanctionStarted(room=ROOM, kind="suspend", basis="operator", n=1, subject=OLGA),
    )
    assert await queries.holds_in(db, ROOM) == {
        (nobody, posting): KeptLevel(nobody, posting, "held", "-", "0"),
        (OLGA, "level"): KeptLevel(OLGA, "level", "overruled", "50", "60"),
    }


async def test_a_card_that_was_posted_is_known_by_its_event(db: AsyncConnection) -> None:
    await apply(db, OPENED, ActionTaken(room=ROOM, action="card", result="refused", n=1, made="$no"))
    assert await queries.case_by_card(db, EventId("$no")) is None
    await apply(db, ActionTaken(room=ROOM, action="card", result="done", n=1, made="$card"))
    assert await queries.case_by_card(db, EventId("$card")) == 1
    assert await queries.case_by_card(db, EventId("")) is None
