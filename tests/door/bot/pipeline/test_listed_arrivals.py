"""Somebody whom a policy list names is met as they arrive, whatever else looks at arrivals."""

from pathlib import Path

import pytest

from moderation.lists.entries import Entry
from moderation.model.facts import ActionTaken, SanctionStarted
from tests.door.bot.pipeline.test_join_waves import STRANGERS, come
from tests.door.lists import entries
from tests.door.offline import ANNA, ROOM, Offline, offline
from tests.unit.moderation.lists.made import made

WAVE = '[joins]\nwave = 5\ndo = "gate"\n'


@pytest.mark.parametrize("settings", ["", "[joins]\nwave = 0\n", WAVE])
async def test_those_who_join_a_public_room_are_met(tmp_path: Path, settings: str) -> None:
    named = STRANGERS[3:5]
    async with offline(tmp_path, settings) as bot:
        await entries(bot, *(made("user", user, key=user) for user in named), trust="apply")
        await come(bot, STRANGERS[5:8])
        await come(bot, named)  # who complete the wave
        assert {fact.subject for fact in bot.facts(SanctionStarted) if fact.kind == "ban"} == set(named)


async def test_a_desk_is_told_once_of_somebody_who_is_only_looked_at(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        for count in range(1, 4):
            others = [made("user", f"@n{n}:elsewhere.example", key=str(n)) for n in range(count)]
            await act(bot, made("user", ANNA), *others)
        assert await told(bot) == 1
        await bot.membership(ANNA, "leave")
        await bot.membership(ANNA, "join")
        assert await told(bot) == 1


async def act(bot: Offline, *said: Entry) -> None:
    """Let a list that is only looked at change, and send what that brings."""
    await entries(bot, *said, trust="look")
    for (txn,) in await bot.rows("SELECT txn FROM outbox WHERE action LIKE '%lists.look%'"):
        done = ActionTaken(room=ROOM, action="tell-desk", result="done", txn=txn)
        await bot.pipeline.commit((done,), of_row=txn)


async def told(bot: Offline) -> int:
    """Return how many lines about lists the desk has got or gets."""
    waiting = await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%lists.look%'")
    return len(waiting) + sum(fact.action == "tell-desk" for fact in bot.facts(ActionTaken))
