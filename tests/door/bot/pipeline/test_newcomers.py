"""Posts of newcomers are held back by what the tables know of them, also after a start and from tables made again."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from moderation.model.facts import CaseOpened, SanctionStarted
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.offline import ANNA, LEVELS, MARK, NOON, OLGA, Offline, offline
from tests.examples import ALL

MINUTE = 60_000
HELD = '[newcomers]\nhold = ["links", "media"]\n'
BEA, CLEO = UserId("@bea:example.org"), UserId("@cleo:example.org")
LINK = "look at https://example.org"


def held(bot: Offline) -> list[tuple[str, int, int, int]]:
    """Return what was held back: who, how long and how many messages until they are not new, whether they knew."""
    found = [fact for fact in bot.facts(SanctionStarted) if fact.rule.startswith("new_member_")]
    return [(fact.subject, fact.every, fact.messages, fact.quiet) for fact in found]


async def test_a_newcomer_is_told_once_and_not_new_any_more_after_time_and_messages(tmp_path: Path) -> None:
    async with offline(tmp_path, HELD) as bot:
        await bot.say(ANNA, LINK)  # was there before the bot
        assert held(bot) == []
        await bot.membership(BEA, "join")
        await bot.say(BEA, LINK)
        await bot.say(BEA, LINK)
        assert held(bot) == [(BEA, 10 * MINUTE, 3, 0), (BEA, 10 * MINUTE, 3, 1)]
        assert [user for user, _ in await bot.tell()] == [BEA]
        for _ in range(3):
            await bot.say(BEA, "hello")
        await bot.say(BEA, LINK)
        assert held(bot)[2:] == [(BEA, 10 * MINUTE, 0, 1)]
        await bot.pass_time(10 * MINUTE)
        await bot.say(BEA, LINK)
        await bot.membership(BEA, "leave")
        await bot.membership(BEA, "join")  # nobody is new twice
        await bot.say(BEA, LINK)
        assert len(held(bot)) == 3
        assert bot.facts(CaseOpened) == []


async def test_time_alone_does_not_make_a_spammer_known(tmp_path: Path) -> None:
    async with offline(tmp_path, HELD) as bot:
        await bot.membership(BEA, "join")
        await bot.pass_time(30 * 24 * 60 * MINUTE)
        for _ in range(4):
            await bot.say(BEA, LINK)
        assert held(bot) == [(BEA, 0, 3, 0), *[(BEA, 0, 3, 1)] * 3]


async def test_the_owner_holds_back_more_for_a_room(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await bot.membership(BEA, "join")
        await bot.say(BEA, LINK)
        await bot.say(OLGA, "!set newcomers links")
        await bot.say(BEA, LINK)
        assert held(bot) == [(BEA, 10 * MINUTE, 2, 0)]
        await bot.say(OLGA, "!set newcomers default")
        await bot.say(BEA, LINK)
        assert len(held(bot)) == 1


async def test_an_upgrade_makes_nobody_new_who_was_in_the_room_before(tmp_path: Path) -> None:
    async with offline(tmp_path, HELD) as bot:
        await bot.membership(BEA, "join")
        new = RoomId("!garden2:example.org")
        await bot.enter_room(new, GroupCode("G-7F3K"), "group", LEVELS, "11", (OLGA, MARK))
        for user in (ANNA, BEA, CLEO):
            await bot.membership(user, "join", room=new)
            await bot.say(user, LINK, room=new)
        assert [user for user, *_ in held(bot)] == [CLEO]


@pytest.mark.examples
@pytest.mark.parametrize("seed", range(3 if ALL else 1))
async def test_tables_made_again_from_the_records_hold_back_the_same(tmp_path: Path, seed: int) -> None:
    at_once = await _played(tmp_path / "at once", _story(seed))
    started = await _played(tmp_path / "started", _story(seed), stops=4)
    rebuilt = await _played(tmp_path / "rebuilt", _story(seed), stops=4, rebuilt=True)
    assert started == at_once
    assert rebuilt == at_once
    assert len(at_once) >= 3


def _story(seed: int) -> list[tuple[str, UserId, int]]:
    """Return what people do, and how long after the one before."""
    random = Random(seed)
    doing = ("join", "leave", LINK, LINK, LINK, "hello", "removed")
    return [(random.choice(doing), random.choice((BEA, CLEO, ANNA)), random.randrange(MINUTE)) for _ in range(60)]


async def _played(
    folder: Path, story: Sequence[tuple[str, UserId, int]], *, stops: int = 0, rebuilt: bool = False
) -> list[tuple[str, int, int, int]]:
    at, events = NOON, 100
    step = len(story) // (stops + 1)
    for begin in range(0, len(story), step):
        async with offline(folder, HELD) as bot:
            bot.time.ms, bot._events = at, events
            for what, user, later in story[begin : begin + step]:
                await bot.pass_time(later)
                await _does(bot, what, user)
            at, events = bot.time.ms, bot._events
            found = held(bot)
        if rebuilt:
            bot.state.lose()
    return found


async def _does(bot: Offline, what: str, user: UserId) -> None:
    if what in ("join", "leave"):
        await bot.membership(user, what)
        return
    said = await bot.event(user, "m.room.message", {"msgtype": "m.text", "body": what})
    if what == "removed":
        reply = {"m.relates_to": {"m.in_reply_to": {"event_id": said}}}
        await bot.event(MARK, "m.room.message", {"msgtype": "m.text", "body": "!redact rude", **reply})
