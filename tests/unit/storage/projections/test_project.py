"""Facts and events applied to the database: the resulting rows, and the values read back from them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_event import receive
from moderation.model.context import CaseView, PersonView
from moderation.model.facts import (
    ActionTaken,
    Appealed,
    BotStarted,
    CaseAssigned,
    CaseClaimed,
    CaseDecided,
    CaseGrew,
    CaseMoved,
    CaseOpened,
    CreditChanged,
    Fact,
    Found,
    LanguageChosen,
    LevelKept,
    NotSeen,
    PartsErased,
    PersonVerified,
    PolicyChanged,
    RecordsPurged,
    Reported,
    RoleChanged,
    RoomEntered,
    RoomListed,
    RoomStateChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
)
from moderation.model.ledger_entry import LedgerEntry
from moderation.rooms.align_people import KeptLevel
from moderation.values.events import MembershipChanged, MessagePosted, Received
from moderation.values.ids import EventId, GroupCode, PersonId, RoomId, UserId
from storage import queries, schema
from storage.projections import project, project_events, project_room_state
from tests.postgres.engines import Engine
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    DAY,
    HOUR,
    MARK,
    MINUTE,
    NOON,
    OLGA,
    OTHER,
    ROOM,
    History,
    policy,
    said,
    terms,
)
from tests.unit.storage.new_tables import EACH_IS_NEW, new_tables

CODE, DESK_CODE = GroupCode("G-7F3K"), GroupCode("G-DESK")
DESK, DIRECT, SPACE = RoomId("!desk"), RoomId("!direct"), RoomId("!space")
ENTERED = RoomEntered(code=CODE, purpose="group", room_id=ROOM, via="example.org", subject=OLGA)
OPENED = CaseOpened(
    room=ROOM,
    on=4,
    n=1,
    rule="spam",
    grade="minor",
    decide="manager",
    state="open",
    due=NOON + HOUR,
    subject=ANNA,
    event=EventId("$said"),
    excerpt="spam!",
)
MUTE = SanctionStarted(room=ROOM, on=4, kind="mute", until=NOON + HOUR, n=1, basis="interim", rule="spam", subject=ANNA)


async def apply(db: AsyncConnection, *facts: Fact, first: int = 10, at: int = NOON) -> None:
    for index, fact in enumerate(facts, first):
        await project(fact, db, index, at)


async def rows(db: AsyncConnection, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    names = columns or tuple(column.name for column in table.c)
    found = await db.execute(select(*(table.c[name] for name in names)).order_by(*table.primary_key.columns))
    return [tuple(row) for row in found]


def received(
    kind: str, content: dict[str, Any], *, key: str | None = None, sender: str = ANNA, event: str = "$e"
) -> Received:
    raw = {"event_id": event, "sender": sender, "origin_server_ts": 1, "type": kind, "content": content}
    return receive(raw if key is None else {**raw, "state_key": key}, ROOM, NOON)


# Rooms and people.


async def test_a_group_waits_to_be_opened_and_rooms_of_ours_do_not(db: AsyncConnection) -> None:
    await apply(
        db,
        ENTERED,
        RoomEntered(code=DESK_CODE, purpose="desk", served=CODE, room_id=DESK),
        RoomEntered(code=GroupCode("G-D2D2"), purpose="direct", room_id=DIRECT, subject=ANNA),
    )
    assert await rows(
        db, schema.rooms, "room", "code", "purpose", "served", "direct_with", "invited_by", "condition", "entered"
    ) == [
        (DESK, DESK_CODE, "desk", CODE, "", "", "protected", 11),
        (DIRECT, "G-D2D2", "direct", "-", ANNA, "", "protected", 12),
        (ROOM, CODE, "group", "-", "", OLGA, "joining", 10),
    ]
    assert await queries.desk_of(db, CODE) == DESK
    assert await queries.direct_room(db, ANNA) == DIRECT
    assert await queries.all_rooms(db) == {ROOM: CODE, DESK: DESK_CODE, DIRECT: "G-D2D2"}


async def test_a_room_entered_again_keeps_its_code_and_starts_afresh(db: AsyncConnection) -> None:
    await apply(db, ENTERED, RoomStateChanged(room=ROOM, condition="left"), ENTERED)
    assert await rows(db, schema.rooms, "code", "condition", "entered") == [(CODE, "joining", 12)]


async def test_a_space_is_followed_and_neither_ours_nor_recorded(db: AsyncConnection) -> None:
    await apply(db, RoomEntered(code=DESK_CODE, purpose="space", room_id=SPACE))
    assert await queries.followed_spaces(db) == {SPACE}
    assert (await queries.recorded_rooms(db), await queries.own_rooms(db), await queries.active_groups(db)) == (
        set(),
        set(),
        (),
    )
    await apply(db, RoomStateChanged(room=SPACE, condition="left"))
    assert await queries.followed_spaces(db) == set()


async def test_peoples_time_begins_again_in_a_room_that_comes_into_a_community_that_asks_for_more(
    db: AsyncConnection,
) -> None:
    asks = {"rooms": [{"rooms": ["club"], "write": 2, "below": "restrict"}]}
    club = policy(communities={"named": [{"name": "club", "space": SPACE}]}, verification=asks)
    listed = RoomListed(room=SPACE, what="listed", child=ROOM, by=OLGA)
    await apply(db, ENTERED, RoomStateChanged(room=ROOM, condition="protected"), at=NOON)
    await apply(db, PolicyChanged(digest="0", policy=club.model_dump_json(by_alias=True)), at=NOON + 1)
    assert await rows(db, schema.rooms, "asked") == [(NOON,)]
    await apply(db, listed, at=NOON + 2)
    assert await rows(db, schema.rooms, "asked") == [(NOON + 2,)]
    await apply(db, replace(listed, what="unlisted"), at=NOON + 3)
    assert await rows(db, schema.rooms, "asked") == [(NOON + 2,)]


async def test_a_room_is_in_the_community_of_a_space_from_when_it_is_listed_and_known(db: AsyncConnection) -> None:
    club = policy(communities={"named": [{"name": "club", "space": SPACE}]})
    listed = RoomListed(room=SPACE, what="listed", child=ROOM, by=OLGA)
    await apply(db, PolicyChanged(digest="0", policy=club.model_dump_json(by_alias=True)), listed, ENTERED)
    assert await rows(db, schema.rooms, "community") == [("club",)]
    assert await queries.listed_in(db, SPACE) == {ROOM}
    await apply(db, replace(listed, what="unlisted"))
    assert await rows(db, schema.rooms, "community") == [(CODE,)]
    await apply(db, listed, listed)
    assert await rows(db, schema.rooms, "community") == [("club",)]
    await apply(db, PolicyChanged(digest="1", policy=policy().model_dump_json(by_alias=True)))
    assert await rows(db, schema.rooms, "community") == [(CODE,)]


async def test_the_condition_of_a_room_and_the_notice_that_went_before(db: AsyncConnection) -> None:
    announced = RoomStateChanged(room=ROOM, condition="announced", notice="$notice")
    await apply(db, ENTERED, announced, RoomStateChanged(room=ROOM, condition="protected"))
    assert await rows(db, schema.rooms, "condition", "notice") == [("protected", "$notice")]
    assert await queries.recorded_rooms(db) == {ROOM}
    assert await queries.active_groups(db) == (ROOM,)


async def test_levels_creator_and_name_follow_the_newest_state(db: AsyncConnection) -> None:
    await apply(db, ENTERED)
    for event in (
        received("m.room.create", {"room_version": "12"}, key="", sender=OLGA),
        received("m.room.power_levels", {"users": {MARK: 50}}, key=""),
        received("m.room.power_levels", {"users": {MARK: 60}}, key=""),
        received("m.room.power_levels", {"users": {MARK: 99}}, key="other"),
        received("m.room.name", {"name": "Garden"}, key=""),
    ):
        await project_room_state(db, event)  # type: ignore[arg-type]
    view = await queries.room_view(db, ROOM, BOT)
    assert view is not None
    assert (view.name, view.power.is_creator(OLGA), dict(view.power.users)) == ("Garden", True, {MARK: 60})


@pytest.mark.parametrize("name", [None, 7, "", "half a letter \ud800"])
async def test_an_invalid_room_name_does_no_harm(db: AsyncConnection, name: Any) -> None:
    await apply(db, ENTERED)
    await project_room_state(db, received("m.room.name", {"name": name}, key=""))  # type: ignore[arg-type]
    assert await rows(db, schema.rooms, "name") == [("half a letter \ufffd" if isinstance(name, str) and name else "",)]


async def test_members_are_what_their_last_event_says_and_keep_the_name_they_had(db: AsyncConnection) -> None:
    came = received("m.room.member", {"membership": "join", "displayname": "Anna"}, key=ANNA, event="$1")
    left = received("m.room.member", {"membership": "ban"}, key=ANNA, sender=MARK, event="$2")
    back = received("m.room.member", {"membership": "join", "displayname": "Ann"}, key=ANNA, event="$3")
    await project_events(db, [(1, came, "join"), (2, left, "leave")])
    assert await rows(db, schema.members, "user", "membership", "role") == [(ANNA, "ban", "member")]
    await project_events(db, [(3, back, "join")])
    await project_events(db, [(4, received("m.room.member", {"membership": "leave"}, key=ANNA, event="$4"), "leave")])
    assert await rows(db, schema.members, "user", "membership", "display_name") == [(ANNA, "leave", "Ann")]


async def test_every_event_is_known_by_its_id_once(db: AsyncConnection) -> None:
    seen = [(1, said("a", event="$1"), "message"), (2, said("b", event="$2"), "message")]
    await project_events(db, seen)
    await project_events(db, [(9, said("a", event="$1"), "message")])
    assert await rows(db, schema.events) == [
        (1, "$1", ROOM, ANNA, "posted", NOON),
        (2, "$2", ROOM, ANNA, "posted", NOON),
    ]
    assert await queries.known_events(db, ["$1", "$2", "$3"]) == {"$1", "$2"}


comings_and_goings = st.lists(
    st.tuples(st.sampled_from([ANNA, MARK]), st.sampled_from(["join", "leave", "invite"]), st.booleans()), max_size=10
)


@given(comings_and_goings)
@settings(max_examples=60, suppress_health_check=EACH_IS_NEW)
def test_members_are_the_same_whether_events_come_together_or_one_by_one(
    engine: Engine, moves: list[tuple[UserId, str, bool]]
) -> None:
    """A rebuild applies them one by one; what was sent during an absence counts for the time at which it was sent."""
    seen = []
    for n, (user, membership, _) in enumerate(moves):
        content = {"membership": membership, "displayname": f"name {n}"}
        event = received("m.room.member", content, key=user, event=f"${n}", sender=user)
        assert isinstance(event, MembershipChanged)
        late = replace(event, sent_ms=NOON - 100 + n, heard_ms=NOON - 1_000)
        seen.append((n, late, "join" if membership == "join" else "leave"))
    together: list[list[tuple[int, Any, str]]] = [[]]
    for each, (_, _, ends) in zip(seen, moves, strict=True):
        together[-1].append(each)
        if ends:
            together.append([])
    one_by_one = [[each] for each in seen]
    assert asyncio.run(_members_after(engine, together)) == asyncio.run(_members_after(engine, one_by_one))


async def _members_after(engine: Engine, batches: list[list[tuple[int, Any, str]]]) -> list[tuple[Any, ...]]:
    async with new_tables(engine) as db:
        for batch in batches:
            await project_events(db, batch)
        return sorted(tuple(row) for row in await db.execute(select(schema.members)))


async def test_a_role_is_kept_and_makes_somebody_a_manager_only_where_the_room_is_served(db: AsyncConnection) -> None:
    manager = RoleChanged(room=ROOM, role="manager", was="member", subject=MARK, by=OLGA)
    await apply(db, ENTERED, manager)
    assert (await person(db, MARK)).manages == frozenset()
    await apply(db, RoomStateChanged(room=ROOM, condition="protected"))
    assert (await person(db, MARK)).manages == {ROOM}
    await apply(db, RoleChanged(room=ROOM, role="member", was="manager", subject=MARK, by=OLGA))
    assert (await person(db, MARK)).manages == frozenset()
    assert await rows(db, schema.members, "user", "membership", "role") == [(MARK, "leave", "member")]


async def test_languages_of_people_and_of_rooms(db: AsyncConnection) -> None:
    await apply(
        db,
        ENTERED,
        LanguageChosen(room=ROOM, language="zh", by=OLGA),
        LanguageChosen(room=ROOM, language="en", subject=ANNA, by=ANNA),
        LanguageChosen(room=ROOM, language="zh", subject=ANNA, by=ANNA),
    )
    assert await rows(db, schema.rooms, "language") == [("zh",)]
    assert await rows(db, schema.accounts) == [(ANNA, ANNA, "zh")]


async def test_a_verification_counts_until_its_time_is_over(db: AsyncConnection) -> None:
    await apply(db, PersonVerified(room=ROOM, method="vouch", level=2, until=NOON + 5, subject=ANNA, by=MARK))
    assert await rows(db, schema.verifications) == [(10, ANNA, ANNA, ROOM, "vouch", 2, MARK, NOON, NOON + 5, 0, "")]
    views = [await queries.person_view(db, ANNA, now_ms=at, recent_since=0) for at in (NOON, NOON + 4, NOON + 5)]
    assert [view.verified for view in views] == [2, 2, 0]
    assert await queries.vouches_by(db, MARK, NOON) == 1


# Cases, credit, sanctions.


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


async def test_the_policy_in_force_is_remembered(db: AsyncConnection) -> None:
    await apply(db, PolicyChanged(digest="0", policy="{}"), PolicyChanged(digest="1", policy='{"rules": []}'))
    assert await queries.get_meta(db, "policy") == '{"rules": []}'


@pytest.mark.parametrize(
    "fact", [Found(room=ROOM, rule="r", grade="minor", subject=ANNA), BotStarted(version="1"), NotSeen(what="gap")]
)
async def test_unprojected_facts_change_nothing(db: AsyncConnection, fact: Fact) -> None:
    await apply(db, fact)
    for table in schema.metadata.sorted_tables:
        assert await rows(db, table) == []


async def person(db: AsyncConnection, user: UserId = ANNA, now: int = NOON) -> PersonView:
    return await queries.person_view(db, user, now_ms=now, recent_since=0)


async def the_case(db: AsyncConnection) -> CaseView:
    found = await queries.case_view(db, 1)
    assert found is not None
    return found


# Whole histories: the values read back agree with the fold in the pure tests of decisions.

RULES = policy(
    terms("mild", **{"class": "minor"}),
    terms("bad", **{"class": "serious", "measure": "mute", "mute_for": "1h"}),
    terms("open", **{"class": "severe", "decide": "manager", "measure": "mute", "interim": "redact"}),
)
steps = st.lists(
    st.tuples(
        st.sampled_from([0, MINUTE, 11 * MINUTE, DAY, 9 * DAY]),
        st.sampled_from(["mild", "bad", "open", "upheld", "dismissed", "harmless"]),
    ),
    max_size=10,
)


def lived(moves: list[tuple[int, Any]]) -> History:
    told = History(RULES)
    for pause, what in moves:
        told.wait(pause)
        newest = max(told.cases, default=0)
        if what not in ("upheld", "dismissed"):
            told.say(what)
        elif newest and told.cases[newest].outcome != what:
            told.decide(newest, what)
    return told


@settings(max_examples=50, suppress_health_check=EACH_IS_NEW)
@given(steps)
async def test_a_history_projected_and_read_back_is_what_was_decided_on(
    engine: Engine, moves: list[tuple[int, str]]
) -> None:
    told = lived(moves)
    async with new_tables(engine) as db:
        await apply(db, ENTERED, RoomStateChanged(room=ROOM, condition="protected"), first=100_000)
        events = {event: case.on for case in told.cases.values() for event in case.events}
        await project_events(db, [(int(event[1:]), said("", event=event), "message") for event in events])
        for index, at, fact in told.facts:
            await project(fact, db, index, at)
        assert await person(db, now=told.now) == told.person()
        for n, case in told.cases.items():
            found = await queries.case_view(db, n)
            assert found is not None
            deciders = frozenset({case.by} - {UserId("")})
            assert found == replace(case, accounts=frozenset({ANNA}), deciders=deciders)
