"""However many deadlines have passed at one look, the consequences are those of each deadline on its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from moderation.model.facts import CaseOpened, CreditChanged, SanctionStarted
from moderation.values.ids import UserId
from tests.door.offline import ANNA, MARK, MINA, OLGA, RULES, Offline, offline
from tests.examples import tried

NOT_SHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example takes a second
DAY, OFTEN, MINUTE = 86_400_000, 11 * 60_000, 60_000
Said = tuple[int, UserId]  # so long after the one before, by whom
STANDING = """
[standing]
overdue = {overdue}
overdue_daily = 0
overdue_at_most = {overdue}
overdue_a_day = {a_day}
"""


async def cases(bot: Offline, said: Sequence[Said]) -> None:
    """Open a waiting case for each message."""
    for pause, who in said:
        await bot.pass_time(pause)
        await bot.say(who, "forbidden")
        await bot.post_cards()


def brought(bot: Offline) -> dict[str, list[Any]]:
    """Return the consequences for the people who run the room, without the times."""
    people = (OLGA, MARK, MINA)
    charges = [(f.n, f.cost, f.left, f.subject) for f in bot.facts(CreditChanged) if f.subject in people]
    started = [(f.kind, f.n, f.credit, f.subject) for f in bot.facts(SanctionStarted) if f.subject in people]
    neglect = [(f.n, f.about, f.subject) for f in bot.facts(CaseOpened) if f.subject in people]
    return {"charges": charges, "started": started, "neglect": neglect}


async def together(folder: Path, said: Sequence[Said], standing: str) -> dict[str, list[Any]]:
    """Return the consequences if all deadlines have passed at the first look."""
    async with offline(folder, RULES + standing) as bot:
        await cases(bot, said)
        await bot.pass_time(DAY)
        bot.time.step = 1  # as a real clock does between reading and recording
        while await bot.scheduler.do_what_is_due():
            pass
        return brought(bot)


async def apart(folder: Path, said: Sequence[Said], standing: str) -> dict[str, list[Any]]:
    """Return the consequences if each deadline is looked at when it passes."""
    async with offline(folder, RULES + standing) as bot:
        await cases(bot, said)
        pauses = [pause for pause, _ in said[1:]]
        await bot.pass_time(DAY - sum(pauses))
        for pause in (*pauses, 0):
            await bot.scheduler.do_what_is_due()
            await bot.pass_time(pause)
        return brought(bot)


@pytest.mark.parametrize("count", [2, 13, 51])  # some, too many for a manager, more than one turn takes
async def test_many_deadlines_in_one_pass_have_the_same_effect_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, count: int
) -> None:
    said, standing = [(OFTEN, ANNA)] * count, STANDING.format(overdue=5, a_day=0)
    found = await together(tmp_path_factory.mktemp("together"), said, standing)
    assert found == await apart(tmp_path_factory.mktemp("apart"), said, standing)
    left = [fact[2] for fact in found["charges"] if fact[3] == MARK]
    assert left == [max(0, 100 - 5 * n) for n in range(1, len(left) + 1)]
    demoted = [fact[3] for fact in found["started"] if fact[0] == "demote"]
    assert sorted(demoted) == ([MARK, MINA] if count >= 13 else [])


@settings(max_examples=tried(5), phases=NOT_SHRUNK)
@given(
    said=st.lists(
        st.tuples(st.integers(11, 90).map(lambda minutes: minutes * MINUTE), st.sampled_from([ANNA, MARK, MINA])),
        min_size=2,
        max_size=8,
    ),
    overdue=st.sampled_from([5, 20, 31, 61]),
    a_day=st.integers(0, 3),
)
async def test_any_deadlines_in_one_pass_have_the_same_effect_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, said: list[Said], overdue: int, a_day: int
) -> None:
    standing = STANDING.format(overdue=overdue, a_day=a_day)
    found = await together(tmp_path_factory.mktemp("together"), said, standing)
    assert found["charges"]
    assert found == await apart(tmp_path_factory.mktemp("apart"), said, standing)
