"""A row that somebody wrote into the database is found at a start, reported once, and remembered until repaired."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog

from bot.scheduler.tables_sample import KNOWN, TablesSample
from moderation.model.facts import RoomEntered, RoomStateChanged, SanctionEnded
from moderation.values.ids import GroupCode, RoomId
from storage.queries.tables_sample import MISSING, UNKNOWN
from tests.door.offline import ANNA, DESK, MARK, MINA, OLGA, ROOM, RULES, Offline, offline
from tests.theatre.opened import made_again

DAY = 86_400_000
OPERATED = f'operators = ["{OLGA}"]\n{RULES}'


async def history(bot: Offline, rounds: int = 3) -> None:
    """Produce cases that are opened and decided, with charges and measures, one of them ended; a mute by command."""
    for number in range(1, rounds + 1):
        await bot.say(ANNA, "forbidden things")
        await bot.say(MARK, f"!uphold {number} they do it again", room=DESK)
        bot.time.ms += DAY // 4  # the next is no part of the same incident
    await bot.say(ANNA, "good morning")
    await bot.say(MARK, f"!mute {ANNA} 1h redact 24h enough now")
    bot.time.ms += DAY
    await bot.pass_time(DAY)
    await bot.scheduler.do_what_is_due()
    await bot.say(ANNA, "forbidden once more")


def change(bot: Offline, *statements: str) -> None:
    for statement in statements:
        assert bot.state.change(statement) > 0


def sample(bot: Offline, seed: int = 1) -> TablesSample:
    return TablesSample(bot.config.place, bot.stores.database, bot.pipeline, bot.pipeline.settings.policy, Random(seed))


async def looked(bot: Offline, seed: int = 1) -> list[tuple[str, str]]:
    return [(each.table, each.what) for each in await sample(bot, seed).look()]


async def test_rows_written_by_the_bot_do_not_differ(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=8)
        assert len(bot.facts(SanctionEnded)) > 0
        for seed in range(20):
            found = sample(bot, seed)
            assert (await found.look(), found.differs) == ([], False)
        assert await bot.rows(f"SELECT * FROM meta WHERE key = '{KNOWN}'") == []


INSERTED = {
    "cases": f"INSERT INTO cases SELECT 77, 3, room, '{MARK}', '{MARK}', rule, grade, decide, manages, 'decided',"
    " 'upheld', opened, 0, opened, by, reason, excerpt, '', asked, 0, 0, 0, '', 0, '', '', 0, 0, '' FROM cases"
    " WHERE n = 1",
    "decisions": "INSERT INTO decisions SELECT 3, n, by, what, state, at FROM decisions LIMIT 1",
    "credit": f"INSERT INTO credit SELECT 3, '{MARK}', '{MARK}', at, entry, 90, grade, rule, n, room, undoes, ledger,"
    " '' FROM credit LIMIT 1",
    "sanctions": f"INSERT INTO sanctions SELECT 3, 'ban', room, '{MARK}', '{MARK}', at, 0, n, basis, rule, by, reason,"
    " '', 0, '', 0, '', 0, '' FROM sanctions LIMIT 1",
}


@pytest.mark.parametrize("table", INSERTED)
async def test_a_row_without_a_record_is_found(tmp_path: Path, table: str) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=1)
        change(bot, INSERTED[table])
        found = await looked(bot)
        assert (table, UNKNOWN) in found
        assert {what for each, what in found if each == table} == {UNKNOWN}


ALTERED = {
    "cases outcome": ("UPDATE cases SET outcome = 'dismissed' WHERE n = 1", "outcome"),
    "cases by": (f"UPDATE cases SET by = '{MINA}' WHERE n = 1", "by"),
    "cases reason": ("UPDATE cases SET reason = 'for no reason' WHERE n = 1", "reason"),
    "cases subject": (f"UPDATE cases SET subject = '{MINA}' WHERE n = 1", "subject"),
    "cases state": ("UPDATE cases SET state = 'decided' WHERE outcome = ''", "state"),
    "cases decided": (
        f"UPDATE cases SET state = 'decided', outcome = 'upheld', decided = 7, by = '{MARK}' WHERE outcome = ''",
        "outcome",
    ),
    "decisions by": (f"UPDATE decisions SET by = '{MINA}'", "by"),
    "decisions what": ("UPDATE decisions SET what = 'dismissed'", "what"),
    "credit cost": ("UPDATE credit SET cost = 1", "cost"),
    "credit person": (f"UPDATE credit SET person = '{MINA}'", "person"),
    "sanctions kind": ("UPDATE sanctions SET kind = 'ban'", "kind"),
    "sanctions oldest": ("UPDATE sanctions SET oldest = 1 WHERE kind = 'sweep'", "oldest"),
    "sanctions until": ("UPDATE sanctions SET until = 99 WHERE kind = 'mute'", "until"),
    "sanctions ended": ("UPDATE sanctions SET ended = 5, why_ended = 'time' WHERE kind = 'redact'", "ended"),
    "sanctions reopened": ("UPDATE sanctions SET ended = 0 WHERE ended > 0", "ended"),
}


@pytest.mark.parametrize("what", ALTERED)
async def test_a_row_that_was_altered_is_found(tmp_path: Path, what: str) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=1)
        statement, column = ALTERED[what]
        change(bot, statement)
        assert (what.split()[0], column) in await looked(bot)


@pytest.mark.parametrize("table", INSERTED)
async def test_a_row_that_was_removed_is_found_by_its_record(tmp_path: Path, table: str) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=1)
        change(bot, f"DELETE FROM {table}")
        assert (table, MISSING) in await looked(bot)


async def test_a_difference_is_told_once_and_known_until_repaired(tmp_path: Path) -> None:
    async with offline(tmp_path, more=OPERATED) as bot:
        await history(bot)
        change(bot, f"UPDATE decisions SET by = '{MINA}' WHERE n = 2")

        async def told() -> list[Any]:
            return await bot.rows("SELECT room, action FROM outbox WHERE action LIKE '%desk.tables.differ%'")

        with structlog.testing.capture_logs() as lines:
            first = sample(bot)
            (found,) = await first.look()
        assert first.differs
        (said,) = [each for each in lines if each["event"] == "tables_differ"]
        assert (said["table"], said["key"], said["what"]) == ("decisions", found.key, "by")
        assert str(MINA) not in str(lines)
        assert str(MARK) not in str(lines)
        assert len(words := await told()) == 2  # the desk of the group, and Olga, the operator
        assert {row[0] for row in words} == {ROOM}
        assert all("verify --tables" in row[1] and "rebuild-db" in row[1] for row in words)
        for seed in range(10):  # starts by which other rows are chosen
            again = sample(bot, seed)
            assert (await again.look(), again.differs) == ([found], True)
        assert len(await told()) == 2
        change(bot, f"UPDATE credit SET \"user\" = '{MINA}'")
        await sample(bot).look()
        assert len(await told()) == 3  # the desk still has the first word waiting
        change(bot, f"UPDATE decisions SET by = '{MARK}' WHERE n = 2", f"UPDATE credit SET \"user\" = '{ANNA}'")
        mended = sample(bot)
        assert (await mended.look(), mended.differs) == ([], False)


async def test_the_desks_concerned_are_told_or_all_if_unknown(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=1)
        other = RoomId("!other:example.org")
        entered = RoomEntered(code=GroupCode("G-2222"), purpose="group", room_id=other, subject=OLGA)
        await bot.pipeline.commit((entered,))
        await bot.pipeline.commit((RoomStateChanged(room=other, condition="protected"),))
        told = "SELECT room FROM outbox WHERE action LIKE '%desk.tables.differ%' ORDER BY room"
        change(bot, f"UPDATE decisions SET by = '{MINA}'")
        await looked(bot)
        assert await bot.rows(told) == [(ROOM,)]
        change(bot, f"UPDATE decisions SET by = '{MARK}'", "DELETE FROM outbox")
        assert await looked(bot) == []
        change(bot, "DELETE FROM credit")
        await looked(bot)
        assert await bot.rows(told) == [(ROOM,), (other,)]


async def test_a_row_that_claims_to_be_older_than_the_log_is_found(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=1)
        change(bot, "UPDATE credit SET record = -7")
        assert ("credit", UNKNOWN) in await looked(bot)


async def test_unreadable_records_do_not_prevent_a_start(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=1)
        for day in (bot.config.data_dir / "records" / "day").iterdir():
            day.write_bytes(b"nothing that is a record\n" + day.read_bytes())
        with structlog.testing.capture_logs() as lines:
            assert await looked(bot) == []
        assert [each["event"] for each in lines] == ["tables_not_compared"]


async def test_the_sample_is_taken_once_at_a_start(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await history(bot, rounds=1)
        change(bot, "UPDATE credit SET cost = 1")
        one = sample(bot)
        task = asyncio.create_task(one.run())
        async with asyncio.timeout(120):
            while not one.differs:
                await asyncio.sleep(0)
                await bot.rows("SELECT 1")
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_erased_and_purged_rows_do_not_differ(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await history(bot)
        operations = bot.scheduler._operations
        for user in (ANNA, MARK):
            await operations.erase(user, what="operator")
        for seed in range(20):
            assert await looked(bot, seed) == []
        await bot.pass_time(400 * DAY)
        await bot.scheduler.do_what_is_due()  # measures end
        await bot.say(MINA, "a new day")
        operations.doubts = lambda: None
        assert (await operations.purge("command")).days
        await bot.say(ANNA, "forbidden, a year later")
        for seed in range(20):
            assert await looked(bot, seed) == []


async def test_rebuilt_tables_include_a_decision_whose_decider_was_erased(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await history(bot)
        await bot.scheduler._operations.erase(MARK, what="operator")
        bot.time.ms += DAY
        decisions = await bot.rows("SELECT * FROM decisions")
        assert len(decisions) == 3
        again = await made_again(bot.stores.journal, tmp_path / "again")
        assert again.rows("SELECT * FROM decisions") == decisions
