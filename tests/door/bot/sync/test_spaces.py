"""Two rooms trust each other for as long as a space lists both, and a replayed log says the same."""

from pathlib import Path

import pytest

from moderation.model.facts import Fact, RoomEntered, RoomListed, SanctionStarted
from moderation.values.ids import GroupCode, RoomId
from tests.door.attacks.neighbours import KITCHEN, MARK, OPERA, RITA, ROOM, Neighbours, neighbours
from tests.door.offline import RULES, offline

SPACE = RoomId("!estate:example.org")
ESTATE = f'[communities]\n[[communities.named]]\nname = "estate"\nspace = "{SPACE}"\n'
CAME = RoomEntered(code=GroupCode("G-SPCE"), purpose="space", room_id=SPACE)


def listed(room: RoomId, what: str = "listed") -> RoomListed:
    return RoomListed(room=SPACE, what=what, child=room, by=RITA)  # type: ignore[arg-type]


async def record(two: Neighbours, *facts: Fact) -> None:
    for fact in facts:
        await two.bot.pipeline.commit((fact,))


async def communities(two: Neighbours) -> dict[str, str]:
    return dict(await two.bot.rows("SELECT room, community FROM rooms WHERE purpose = 'group'"))


async def test_rooms_that_a_space_lists_share_what_their_people_decide_while_it_lists_them(tmp_path: Path) -> None:
    async with neighbours(tmp_path, ESTATE + RULES) as two:
        await record(two, CAME, listed(ROOM), listed(KITCHEN))
        assert await communities(two) == {ROOM: "estate", KITCHEN: "estate"}
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
        assert {fact.reach for fact in two.bot.facts(SanctionStarted) if fact.kind != "redact"} == {"estate"}
        assert (await two.credit(MARK, ROOM), await two.holding(MARK, ROOM)) == (37, ["demote", "mute"])
        await record(two, listed(ROOM, "unlisted"))
        assert await communities(two) == {ROOM: "G-7F3K", KITCHEN: "estate"}
        assert (await two.credit(MARK, ROOM), await two.holding(MARK, ROOM)) == (100, [])
        assert (await two.credit(MARK, KITCHEN), await two.holding(MARK, KITCHEN)) == (37, ["demote", "mute"])


async def test_decisions_before_listing_stay_in_their_room(tmp_path: Path) -> None:
    async with neighbours(tmp_path, ESTATE + RULES) as two:
        await record(two, CAME, listed(ROOM))
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
        await record(two, listed(KITCHEN))
        assert (await two.credit(MARK, ROOM), await two.credit(MARK, KITCHEN)) == (100, 37)


async def test_a_changed_list_empties_the_view_cache(tmp_path: Path) -> None:
    async with neighbours(tmp_path, ESTATE + RULES) as two:
        known = two.bot.pipeline.knowledge
        async with two.bot.stores.database.read() as db:
            before = await known.room(db, KITCHEN), await known.person(db, RITA, two.bot.time.ms)
        await record(two, CAME, listed(KITCHEN))
        async with two.bot.stores.database.read() as db:
            after = await known.room(db, KITCHEN), await known.person(db, RITA, two.bot.time.ms)
        assert [room.community for room in (before[0], after[0]) if room] == ["G-CU5K", "estate"]
        assert [person.manages_in for person in (before[1], after[1])] == [{"G-CU5K"}, {"estate"}]


async def test_messages_in_a_space_are_never_recorded(tmp_path: Path) -> None:
    async with neighbours(tmp_path, ESTATE + RULES) as two:
        await record(two, CAME)
        await two.bot.say(RITA, "hello", SPACE)
        assert not two.bot.pipeline.served.records(SPACE)
    async with neighbours(tmp_path, ESTATE + RULES) as two:
        await two.bot.say(RITA, "hello", SPACE)
        assert not two.bot.pipeline.served.records(SPACE)
        assert not two.bot.pipeline.served.is_own(SPACE)
        assert await two.bot.rows(f"SELECT 1 FROM events WHERE room = '{SPACE}'") == []


@pytest.mark.parametrize("kept", [False, True], ids=["made anew", "behind"])
async def test_replaying_the_log_restores_the_reach_of_each_entry(tmp_path: Path, kept: bool) -> None:
    columns = "record, reach FROM credit", "record, reach FROM sanctions", "room, community FROM rooms"
    every = (*columns, "room, space, record FROM space_rooms")
    async with neighbours(tmp_path, ESTATE + RULES) as two:
        await record(two, CAME)
        older = two.bot.state.copy()
        await two.break_rule(MARK, 1)
        await two.decide(RITA, "uphold")
        await record(two, listed(KITCHEN), listed(ROOM))
        await two.break_rule(MARK, 1)
        await two.decide(RITA, "uphold")
        await record(two, listed(ROOM, "unlisted"))
        before = [await two.bot.rows(f"SELECT {each} ORDER BY 1") for each in every]
    assert [reach for _, reach in before[0]] == ["G-CU5K", "estate"]
    assert [row[:2] for row in before[3]] == [(KITCHEN, SPACE)]
    if kept:
        two.bot.state.put_back(older)
    else:
        two.bot.state.lose()
    async with offline(tmp_path, f'operators = ["{OPERA}"]\n' + ESTATE + RULES) as bot:
        assert [await bot.rows(f"SELECT {each} ORDER BY 1") for each in every] == before
