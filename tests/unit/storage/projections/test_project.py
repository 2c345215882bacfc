"""Facts and events applied to the database: the resulting rows, and the values read back from them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    BotStarted,
    Fact,
    Found,
    LanguageChosen,
    NotSeen,
    PersonVerified,
    PolicyChanged,
    RoleChanged,
    RoomEntered,
    RoomListed,
    RoomStateChanged,
)
from moderation.values.events import MembershipChanged
from moderation.values.ids import GroupCode, UserId
from storage import queries, schema
from storage.projections import project, project_events, project_room_state
from tests.examples import tried
from tests.postgres.engines import on_both
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    DAY,
    MARK,
    MINUTE,
    NOON,
    OLGA,
    ROOM,
    History,
    policy,
    said,
    terms,
)
from tests.unit.storage.new_tables import EACH_IS_NEW, NewTables
from tests.unit.storage.projections.projecting import (
    CODE,
    DESK,
    DESK_CODE,
    DIRECT,
    ENTERED,
    SPACE,
    apply,
    person,
    received,
    rows,
)

pytestmark = on_both

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
@settings(max_examples=tried(60), suppress_health_check=EACH_IS_NEW)
async def test_members_are_the_same_whether_events_come_together_or_one_by_one(
    new_tables: NewTables, moves: list[tuple[UserId, str, bool]]
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
    assert await _members_after(new_tables, together) == await _members_after(new_tables, one_by_one)


async def _members_after(new_tables: NewTables, batches: list[list[tuple[int, Any, str]]]) -> list[tuple[Any, ...]]:
    async with new_tables() as db:
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


@settings(max_examples=tried(50), suppress_health_check=EACH_IS_NEW)
@given(steps)
async def test_a_history_projected_and_read_back_is_what_was_decided_on(
    new_tables: NewTables, moves: list[tuple[int, str]]
) -> None:
    told = lived(moves)
    async with new_tables() as db:
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
