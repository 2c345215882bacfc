"""The removal of messages with a ban by an entry: nothing of it is lost, and nothing is done twice."""

from pathlib import Path

import pytest

from bot.pipeline import process_facts
from moderation.model.actions.removal import Sweep
from moderation.model.facts import ListMatched, SanctionStarted, Swept
from tests.door.lists import LIST, entries
from tests.door.offline import ANNA, ROOM, Offline, offline
from tests.unit.moderation.lists.made import made

WATCHING = f"""
[[lists.watch]]
name = "cme"
room = "{LIST}"
trust = "apply"
takedown = "redact"
"""


async def sweeps(bot: Offline) -> int:
    return sum(isinstance(row.action, Sweep) for row in await bot.waiting())


async def test_a_removal_of_which_a_crash_left_only_the_ban_follows_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with offline(tmp_path, WATCHING) as bot:
        await bot.say(ANNA, "buy this")
        before = bot.state.copy()
    with monkeypatch.context() as stopped:
        stopped.setattr(process_facts, "may_remove", lambda _facts: False)  # as if it had stopped after the ban
        async with offline(tmp_path, WATCHING) as bot:
            await entries(bot, made("user", ANNA, advice="takedown"), room=None)
            assert (len(bot.facts(ListMatched)), bot.facts(Swept)) == (1, [])
    for _ in range(2):  # at the second start all is recorded, and nothing is left to add
        bot.state.put_back(before)
        async with offline(tmp_path, WATCHING) as bot:
            [begun] = bot.facts(SanctionStarted)
            [fact] = bot.facts(Swept)
            assert (fact.room, fact.n, fact.on, fact.count) == (ROOM, begun.n, begun.on, 1)
            assert await sweeps(bot) == 1
