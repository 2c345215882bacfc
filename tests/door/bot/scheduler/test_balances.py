"""The consequences of balances are in force after a start, and wrong notices about them are corrected."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from bot.scheduler import balances
from moderation.model.facts import BalanceCorrected, CreditChanged, Ledger, SanctionStarted, StatementGiven
from moderation.values.ids import UserId
from storage.journal.reader import Log
from storage.journal.record import Record
from tests.door.offline import ANNA, MARK, MINA, ROOM, Offline, offline
from tests.theatre.opened import made_again

DAY = 86_400_000


async def charged(bot: Offline, user: UserId, costs: list[int], left: list[int], ledger: Ledger = "standing") -> None:
    """Record charges as an earlier version did: each with the balance it saw, and none with consequences."""
    for cost, told in zip(costs, left, strict=True):
        bot.time.ms += 3
        fact = CreditChanged(
            room=ROOM, entry="charge", cost=cost, grade="-", rule="duty_overdue", ledger=ledger, left=told, subject=user
        )
        await bot.pipeline.commit((fact,))


def demoted(bot: Offline) -> list[tuple[UserId, str, int, int]]:
    found = bot.recorded(SanctionStarted)
    return [(f.subject, f.basis, f.credit, f.on) for _, f in found if f.kind == "demote"]


async def test_wrong_balances_are_corrected_once_and_missing_suspensions_begin(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        told_then = [95, 90] + [85] * 7 + [50] * 4
        await charged(bot, MARK, [5] * 13, told_then)
        records = [index for index, _ in bot.recorded(CreditChanged)]
    for _ in range(2):  # starts
        async with offline(tmp_path) as bot:
            await bot.scheduler.do_what_is_due()
            corrected = [(f.start, f.told, f.left) for f in bot.facts(BalanceCorrected)]
            right = [100 - 5 * n for n in range(1, 14)]
            assert corrected == [each for each in zip(records, told_then, right, strict=True) if each[1] != each[2]]
            assert demoted(bot) == [(MARK, "standing", 35, records[-1])]
            told = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%notice.corrected.standing%'")
            assert len(told) == 1


async def test_what_was_stated_is_read_from_the_log_at_one_start_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    several = Log.several

    def noted(log: Log, indexes: Iterable[int]) -> dict[int, Record]:
        read.extend(wanted := list(indexes))
        return several(log, wanted)

    async with offline(tmp_path) as bot:
        await charged(bot, MARK, [5] * 4, [95, 90, 85, 80])
        await charged(bot, ANNA, [5] * 2, [95, 90])
        records = [index for index, _ in bot.recorded(CreditChanged)]
    monkeypatch.setattr(Log, "several", noted)
    for start in range(3):
        async with offline(tmp_path) as bot:
            if start == 2:
                await charged(bot, ANNA, [5], [85])
                records = [index for index, _ in bot.recorded(CreditChanged)]
            await bot.scheduler.do_what_is_due()
            # The first entry of each had none before it.
            assert sorted(read) == [*records[1:4], *records[5:]]


async def test_people_are_looked_at_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balances, "READ_AT_ONCE", 1)
    people = (ANNA, MARK, MINA)
    async with offline(tmp_path) as bot:
        for user in people:
            await charged(bot, user, [70], [30], "credit")
            await charged(bot, user, [5, 5], [95, 95])
        await bot.scheduler.do_what_is_due()
        assert {fact.subject for fact in bot.facts(SanctionStarted)} == set(people)
        starts = [fact.start for fact in bot.facts(BalanceCorrected)]
        assert len(starts) == 3
        assert starts == sorted(starts)


@pytest.mark.parametrize("left", [[90, 80], [90, 79], [50, 50]])
async def test_a_right_balance_or_one_with_another_cause_is_unchanged(tmp_path: Path, left: list[int]) -> None:
    async with offline(tmp_path) as bot:
        await charged(bot, MARK, [10, 10], left)
        await bot.scheduler.do_what_is_due()
        assert bot.facts(BalanceCorrected) == []


async def test_a_missing_mute_or_ban_begins_and_a_served_one_does_not(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await charged(bot, ANNA, [70], [30], "credit")
        await charged(bot, MARK, [90], [10], "credit")
        await bot.pass_time(4 * DAY)  # a mute is over by then
        await bot.scheduler.do_what_is_due()
        assert [(f.kind, f.subject) for f in bot.facts(SanctionStarted)] == [("demote", MARK), ("ban", MARK)]
        await bot.pass_time(DAY)
        await bot.scheduler.do_what_is_due()
        assert len(bot.facts(SanctionStarted)) == 2


async def test_raising_the_managing_threshold_suspends_managers_below_at_the_next_start(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await charged(bot, MARK, [50], [50])
        await bot.scheduler.do_what_is_due()
        assert demoted(bot) == []
    async with offline(tmp_path, "[tiers]\nmanage_from = 55\n") as bot:
        await bot.scheduler.do_what_is_due()
        assert [each[:3] for each in demoted(bot)] == [(MARK, "standing", 50)]


async def test_rebuilt_tables_correct_nothing_twice(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await charged(bot, MARK, [10, 10, 10], [90, 90, 90])
        await bot.scheduler.do_what_is_due()
        assert [(f.told, f.left) for f in bot.facts(BalanceCorrected)] == [(90, 80), (90, 70)]
        assert bot.facts(StatementGiven) == []
        again = await made_again(bot.stores.journal, tmp_path / "again")
    bot.state.put_back(again.copy())
    async with offline(tmp_path) as bot:
        await bot.scheduler.do_what_is_due()
        assert len(bot.facts(BalanceCorrected)) == 2


async def test_entries_whose_records_were_purged_are_left_alone(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await charged(bot, MARK, [5, 5], [95, 95])
    bot.state.change("UPDATE credit SET record = record + 100000")  # none of them is in the log any longer
    async with offline(tmp_path) as bot:
        await bot.scheduler.do_what_is_due()
        assert bot.facts(BalanceCorrected) == []
