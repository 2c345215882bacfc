"""Clocks that jump, and people who act at the same moment as others or as the bot."""

import asyncio
from pathlib import Path

import pytest

from moderation.model.facts import CaseDecided, CaseMoved, LevelKept, NotSeen, RoomStateChanged, SanctionEnded
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.theatre.scene import Theatre, told
from tests.theatre.served import MUTE, RULES, like
from tests.theatre.simulated import SimulatedAccounts

WEEK_MS = 7 * 24 * 3_600_000
FLOOD = """
[[rules]]
name = "flood"
kind = "flood"
class = "minor"
messages = 2
within = "1s"
"""


async def test_a_week_of_downtime_ends_mutes_and_makes_nobody_late(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + MUTE, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    await asyncio.gather(ann.send_text(room, "a geyser"), ben.send_text(room, "forbidden 7"))
    await scene.until_level(ann.user, -1)
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE rule = 'tickets' AND card <> ''"), "the card")
    await bot.idle(60)
    ((due,),) = bot.rows("SELECT due FROM cases WHERE rule = 'tickets'")
    await bot.stop()
    bot.ahead_ms = WEEK_MS
    bot.start()
    await scene.until_level(ann.user, None)
    await told(ann, bot, like("notice.ended.mute"))
    await bot.until(lambda: bot.facts(SanctionEnded), "the end of the mute")
    assert bot.facts(CaseMoved) == []
    ((moved,),) = bot.rows("SELECT due FROM cases WHERE rule = 'tickets'")
    (down,) = [fact.count for fact in bot.facts(NotSeen) if fact.what == "down"]
    assert moved == due + down
    assert 0 <= down - WEEK_MS < 120_000

    # Now the clock is corrected, for the bot by a week back; messages after that are judged as usual.
    bot.ahead_ms = 0
    said = await ben.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT 1 FROM evidence WHERE event = ?", said), "a case")
    await bot.idle(60)
    assert await scene.owner.is_redacted(room, said)
    assert bot.facts(CaseMoved) == []


@pytest.mark.long
async def test_slow_messages_during_downtime_are_no_flood_but_fast_ones_are(theatre: Theatre, tmp_path: Path) -> None:
    scene = await theatre.scene(FLOOD, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    await bot.stop()
    slowly = []
    for number in range(6):
        slowly.append(await ann.send_text(room, f"one by one {number}"))
        await _passes(theatre, 600)  # the test is about the interval between messages
    at_once = await asyncio.gather(*(ben.send_text(room, f"all at once {number}") for number in range(6)))
    bot.ahead_ms = 60_000  # for so long it was away
    bot.start()
    await bot.has(*slowly, *at_once)
    await bot.idle(60)
    assert [await scene.owner.is_redacted(room, event) for event in slowly] == [False] * 6
    assert sum([await scene.owner.is_redacted(room, event) for event in at_once]) == 4
    await bot.stop()
    assert await rebuilt(bot, tmp_path) == {name: bot.table(name) for name in TABLES}


async def _passes(theatre: Theatre, ms: int) -> None:
    """Let time pass on the homeserver. The simulated one shows no other time than this between two messages."""
    if isinstance(theatre.stage.server, SimulatedAccounts):
        world = theatre.stage.server.homeserver.world
        now_ms = world.clock() + ms
        world.clock = lambda: now_ms
    else:
        await asyncio.sleep(ms / 1_000)


async def test_simultaneous_decisions_take_effect_once(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + MUTE, managers=2, members=3)
    bot, room, owner, (first, second), (ann, ben, cat) = (
        scene.bot,
        scene.room,
        scene.owner,
        scene.managers,
        scene.members,
    )
    await ann.send_text(room, "forbidden 7")
    card = await scene.card(first, 1)
    # Two managers decide one case, and a manager changes levels while the bot mutes somebody.
    await asyncio.gather(
        first.react(scene.desk, card.id, "✅"),
        second.react(scene.desk, card.id, "❌"),
        ben.send_text(room, "a geyser"),
        owner.set_power(room, {cat.user: 25}),
    )
    await scene.until_level(ben.user, -1)
    await bot.until(lambda: bot.facts(CaseDecided), "a decision")
    await bot.idle(60)
    assert [fact.n for fact in bot.facts(CaseDecided)] == [1]
    levels = await scene.levels()
    assert (levels[ben.user], levels[cat.user]) == (-1, 25)
    assert [fact.step for fact in bot.facts(LevelKept)][-1] == "held"
    # Somebody is banned by hand while what they said is still to be redacted.
    said = await cat.send_text(room, "a purple elephant")
    await owner.request("POST", "rooms", room, "ban", json={"user_id": cat.user})
    await bot.has(said)
    await bot.idle(60)
    assert await owner.is_redacted(room, said)
    # The bot is demoted, then banned, while it has something to do.
    await owner.set_power(room, {bot.user: 0})
    last = await ann.send_text(room, "a purple elephant")
    await bot.has(last)
    await owner.request("POST", "rooms", room, "ban", json={"user_id": bot.user})
    await bot.until_condition(room, "left")
    await bot.idle(60)
    assert not await owner.is_redacted(room, last)
    conditions = [fact.condition for fact in bot.facts(RoomStateChanged) if fact.room == room]
    assert conditions[-2:] == ["observing", "left"]
    bot.must_live()
