"""Everything of a person is redacted by one request, but only if nothing harmless goes with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moderation.model.facts import ActionTaken
from moderation.values.durations import HOUR_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from storage import queries
from tests.door.offline import ANNA, BOT, LEVELS, OLGA, offline
from tests.fakes.homeserver import Fault
from tests.theatre.garden import Garden, garden_in

KITCHEN, CODE = RoomId("!kitchen:example.org"), GroupCode("G-2222")


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[Garden]:
    async with garden_in(tmp_path) as garden:
        garden.server.redacts_all = True
        await garden.bot.came_first()
        yield garden


async def spam(garden: Garden, name: str = "ann", times: int = 12) -> list[str]:
    """Let somebody break a rule many times while the homeserver accepts nothing of the bot."""
    garden.limit()
    said = [garden.say(name, f"a purple elephant {n}") for n in range(times)]
    await garden.bot.has(*said)
    waiting = "SELECT count(*) FROM outbox WHERE action LIKE '%\"redact\"%'"
    await garden.bot.until(lambda: garden.bot.rows(waiting)[0][0] >= times, "all removals waiting")
    return said


def gone(garden: Garden, *events: str) -> list[bool]:
    return [bool(garden.server.world.by_id[event][1].gone) for event in events]


async def finish(garden: Garden) -> None:
    """Accept everything."""
    garden.server.allowed = None
    await garden.bot.idle()


async def test_one_request_removes_all_and_each_removal_has_its_record(garden: Garden) -> None:
    said = await spam(garden)
    assert [name for name, _ in await garden.allow(1)] == ["rooms/redact-all"]
    assert gone(garden, *said) == [True] * 12
    await finish(garden)
    removed = [fact for fact in garden.bot.facts(ActionTaken) if fact.action == "redact"]
    assert (sorted(fact.event for fact in removed), {fact.result for fact in removed}) == (sorted(said), {"done"})
    asked = [redaction for redaction in garden.room.events if redaction.raw["type"] == "m.room.redaction"]
    assert len(asked) == 12


@pytest.mark.long
async def test_a_harmless_message_stays_and_the_others_go_one_by_one(garden: Garden) -> None:
    harmless = garden.say("ann", "good morning")
    said = await spam(garden)
    await garden.allow(1)
    assert gone(garden, *said).count(True) == 1
    await finish(garden)
    assert gone(garden, harmless, *said) == [False] + [True] * 12


async def test_of_people_who_were_there_before_the_bot_messages_go_one_by_one(tmp_path: Path) -> None:
    async with garden_in(tmp_path) as garden:
        garden.server.redacts_all = True
        said = await spam(garden)
        await garden.allow(1)
        assert gone(garden, *said).count(True) == 1
        await finish(garden)
        assert gone(garden, *said) == [True] * 12


async def test_only_people_who_were_never_there_before_the_bot_came_after_it(tmp_path: Path) -> None:
    ben, cat, dora, eve = (UserId(f"@{name}:example.org") for name in ("ben", "cat", "dora", "eve"))
    async with offline(tmp_path) as bot:

        async def after() -> list[UserId]:
            async with bot.stores.database.read() as db:
                return [user for user in (ANNA, ben, cat, dora, eve) if await queries.came_after_us(db, KITCHEN, user)]

        await bot.enter_room(KITCHEN, CODE, "group", LEVELS, "11", (OLGA, ANNA), gone=(ben, dora))
        await bot.pass_time(HOUR_MS)
        await bot.membership(dora, "invite", KITCHEN)
        for user in (ben, cat, dora):
            await bot.membership(user, "join", KITCHEN)
        assert await after() == [cat]
        # It leaves for a time in which Eve comes and goes, and nobody records what she writes.
        await bot.membership(BOT, "leave", KITCHEN)
        await bot.pass_time(HOUR_MS)
        await bot.enter_room(KITCHEN, CODE, "group", LEVELS, "11", (OLGA, ANNA, ben, cat), gone=(dora, eve))
        await bot.pass_time(HOUR_MS)
        await bot.membership(eve, "join", KITCHEN)
        assert await after() == []


@pytest.mark.long
async def test_a_server_that_says_it_and_cannot_is_asked_once(garden: Garden) -> None:
    said = await spam(garden)
    unknown = b'{"errcode":"M_UNRECOGNIZED","error":"no"}'
    garden.server.faults = [Fault("rooms/redact-all", 1, 404, unknown, "application/json")]
    await finish(garden)
    assert gone(garden, *said) == [True] * 12
    assert len([event for event in garden.room.events if event.raw["type"] == "m.room.redaction"]) == 12


@pytest.mark.long
async def test_what_is_written_afterwards_is_removed_too(garden: Garden) -> None:
    said = await spam(garden)
    await garden.allow(1)
    later = garden.say("ann", "another purple elephant")
    await garden.bot.has(later)
    await finish(garden)
    assert gone(garden, *said, later) == [True] * 13


async def test_a_ban_says_that_everything_goes_unless_something_harmless_would(garden: Garden) -> None:
    garden.server.redacts_all = False
    garden.say("ben", "good morning")
    said = [*await spam(garden, "ann"), *await spam(garden, "ben")]
    await garden.bot.has(*(garden.say("manager", f"!ban {garden.people[name]} 1d") for name in ("ann", "ben")))
    await finish(garden)
    bans = {
        event.raw["state_key"]: event.raw["content"].get("org.matrix.msc4293.redact_events", False)
        for event in garden.room.members.values()
        if event.raw["content"]["membership"] == "ban"
    }
    assert bans == {garden.people["ann"]: True, garden.people["ben"]: False}
    assert gone(garden, *said) == [True] * 24
