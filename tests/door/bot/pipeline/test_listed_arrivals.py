"""Somebody whom a policy list names is met as they arrive, whatever else looks at arrivals."""

from pathlib import Path

import pytest

from moderation.lists.entries import Entry
from moderation.model.facts import ActionTaken, CaseOpened, SanctionStarted
from moderation.values.ids import UserId
from tests.door.bot.pipeline.test_join_waves import STRANGERS, come
from tests.door.lists import entries
from tests.door.offline import ANNA, BOT, ROOM, Offline, offline
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


@pytest.mark.parametrize(
    "wide", [made("user", "@*:elsewhere.example"), made("server", "elsewhere.example"), made("server", "*")]
)
async def test_who_comes_is_proposed_if_the_pattern_means_many_of_the_room(tmp_path: Path, wide: Entry) -> None:
    async with offline(tmp_path, "") as bot:
        for name in ("a", "b"):
            await bot.membership(UserId(f"@{name}:elsewhere.example"), "join")
        await entries(bot, wide, trust="apply")
        await bot.membership(UserId("@c:elsewhere.example"), "join")
        assert bot.facts(SanctionStarted) == []
        assert {fact.subject[1] for fact in bot.facts(CaseOpened)} == {"a", "b", "c"}


async def test_who_comes_is_banned_if_a_pattern_means_them_alone(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, made("user", "@spam*:elsewhere.example"), trust="apply")
        for user in (UserId("@spam1:elsewhere.example"), UserId("@spam2:elsewhere.example")):
            await bot.membership(user, "join")
            await bot.event(BOT, "m.room.member", {"membership": "ban"}, key=user)
        assert len(bot.facts(SanctionStarted)) == 2


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
