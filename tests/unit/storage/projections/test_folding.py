"""The state that the tests of decisions fold in memory equals the tables made of the same facts."""

from contextlib import suppress
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import RoomEntered, RoomStateChanged
from moderation.values.errors import IllegalStep, Refused
from storage import queries, schema
from storage.projections import project, project_events
from tests.examples import tried
from tests.unit.moderation.builders import ANNA, CODE, DAY, HOUR, MARK, MINA, NOON, OLGA, OPERA, ROOM, said
from tests.unit.moderation.known_room import BEN
from tests.unit.moderation.test_world import POLICIES
from tests.unit.moderation.world import World
from tests.unit.storage.new_tables import EACH_IS_NEW, NewTables

MOVES = ("spam", "noise", "upheld", "dismissed", "appeal", "error", "see", "away", "take", "give", "leave", "come")
steps = st.lists(
    st.tuples(
        st.sampled_from((0, HOUR, 11 * HOUR, DAY, 3 * DAY)),
        st.sampled_from((OLGA, MARK, MINA, ANNA, BEN, OPERA)),
        st.sampled_from(MOVES),
    ),
    max_size=12,
)


def lived(moves: list[tuple[int, str, str]]) -> World:
    """Let people act one after the other; what is refused changes nothing."""
    world = World(POLICIES[0])
    for pause, who, what in moves:
        world.wait(pause)
        with suppress(Refused, IllegalStep):
            _act(world, who, what, max(world.cases, default=0))
    return world


def _act(world: World, who: str, what: str, newest: int) -> None:
    user = next(each for each in (*world.people, OPERA) if each == who)
    match what:
        case "spam" | "noise" if user in world.joined:
            world.say(user, what)
        case "upheld" | "dismissed" if newest:
            world.decide(newest, what, user)
        case "error" if newest:
            world.decide(newest, "dismissed", user, "error")
        case "appeal" if newest and world.cases[newest].view.outcome == "upheld":
            world.appeal(newest)
        case "see" if newest:
            world.see(newest, user)
        case "away":
            world.go_away(user, 2 * DAY)
        case "take" | "give" if user not in (OLGA, OPERA):
            world.give(user, 50 if what == "give" else 0)
        case "leave" | "come" if user in (MARK, MINA):
            (world.leave if what == "leave" else world.come)(user)


@settings(max_examples=tried(40), suppress_health_check=EACH_IS_NEW)
@given(steps)
async def test_facts_folded_in_memory_are_what_the_tables_hold(
    new_tables: NewTables, moves: list[tuple[int, str, str]]
) -> None:
    world = lived(moves)
    async with new_tables() as db:
        entered = RoomEntered(code=CODE, purpose="group", room_id=ROOM, subject=OLGA)
        await project(entered, db, 100_000, NOON)
        await project(RoomStateChanged(room=ROOM, condition="protected"), db, 100_001, NOON)
        events = {event for row in world.cases.values() for event in row.view.events}
        await project_events(db, [(int(event[1:]), said("", event=event), "message") for event in events])
        for index, at, fact in world.folded.facts:
            await project(fact, db, index, at)
        await _compare_cases(db, world)
        for user in world.people:
            stored = await queries.person_view(db, user, now_ms=world.now, recent_since=0)
            known = world.person(user)
            assert (stored.entries, stored.standing, stored.in_force) == (
                known.entries,
                known.standing,
                known.in_force,
            )
        tasks = select(schema.tasks.c.record).where(schema.tasks.c.done == 0).order_by(schema.tasks.c.record)
        assert list(await db.scalars(tasks)) == list(world.tasks)


async def _compare_cases(db: AsyncConnection, world: World) -> None:
    a, c = schema.assignments.c, schema.cases.c
    for n, row in world.cases.items():
        found = await queries.case_view(db, n)
        assert found is not None
        of_accounts = dict.fromkeys(("accounts", "deciders", "appellants", "friends"), frozenset[object]())
        view = replace(row.view, appealed=row.appealed, **of_accounts)  # type: ignore[arg-type]
        assert replace(found, to_operator=False, **of_accounts) == view  # type: ignore[arg-type]
        asked = await db.execute(select(a.user, a.asked, a.at).where(a.n == n).order_by(a.record))
        assert [tuple(each) for each in asked] == row.asked
        times = (await db.execute(select(c.remind, c.appealed).where(c.n == n))).one()
        assert tuple(times) == (row.remind, row.appealed)
