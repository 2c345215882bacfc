"""Waves of people: what counts, across starts and absences, and what follows for the room and for them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bot import startup
from bot.events.parse_event import receive
from bot.pipeline.event_reader import PlainReader
from moderation.model.actions.removal import Kick, Redact
from moderation.model.actions.rooms import Align
from moderation.model.facts import (
    CaseDecided,
    CaseOpened,
    DoorAnswered,
    PersonVerified,
    SanctionEnded,
    SanctionStarted,
    WaveNoticed,
)
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.offline import ANNA, BOT, DESK, LEVELS, MARK, OLGA, ROOM, Offline, offline

MINUTE = 60_000
GATE = '[joins]\nwave = 4\ndo = "gate"\n'
UNDO = GATE + 'undo = "kick"\n'
STRANGERS = [UserId(f"@stranger{n}:elsewhere.example") for n in range(40)]


def waves(bot: Offline) -> list[tuple[int, str, int]]:
    return [(each.count, each.do, each.limited) for each in bot.facts(WaveNoticed)]


async def come(bot: Offline, people: Sequence[UserId], what: str = "join", later: int = 1_000) -> None:
    for user in people:
        await bot.pass_time(later)
        await bot.membership(user, what)


async def invited(bot: Offline, by: UserId, user: UserId) -> None:
    await bot.event(by, "m.room.member", {"membership": "invite"}, key=user)


async def test_a_wave_gates_the_room_once_and_the_gate_ends_by_itself(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        await come(bot, STRANGERS[:3])
        await bot.pass_time(MINUTE)
        await come(bot, STRANGERS[3:6])
        assert waves(bot) == []  # never four within a minute
        await come(bot, STRANGERS[6:12])
        assert waves(bot) == [(4, "gate", 0)]
        (opened,), (started,) = bot.facts(CaseOpened), bot.facts(SanctionStarted)
        assert (opened.rule, opened.subject, started.kind, started.n) == ("join_wave", "", "gate", opened.n)
        told = [lines for action in await bot.waiting() for lines in getattr(action.action, "lines", ())]
        assert {"measure.begun.gate", "wave.seen", "wave.does.gate"} <= {each.key for each in told}
        assert Align(room=ROOM) in [row.action for row in await bot.waiting()]
        await bot.pass_time(30 * MINUTE)
        await bot.scheduler.do_what_is_due()
        assert [(each.kind, each.why) for each in bot.facts(SanctionEnded)] == [("gate", "time")]


async def test_waves_keep_a_room_shut_a_few_times_in_a_day_only(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        for _ in range(5):
            await come(bot, STRANGERS[:4])
            await bot.pass_time(31 * MINUTE)
            await bot.scheduler.do_what_is_due()
            await come(bot, STRANGERS[:4], "leave")
        assert waves(bot) == [(4, "gate", 0)] * 3 + [(4, "tell", 1)] * 2
        await bot.pass_time(24 * 60 * MINUTE)
        await come(bot, STRANGERS[4:8])
        assert waves(bot)[5:] == [(4, "gate", 0)]


async def test_one_account_and_new_names_are_no_wave(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        for _ in range(6):
            await come(bot, STRANGERS[:1])
            await come(bot, STRANGERS[:1], "leave")
        await come(bot, STRANGERS[:3], later=0)
        for name in "abcdef":
            content = {"membership": "join", "displayname": name}
            await bot.event(STRANGERS[2], "m.room.member", content, key=STRANGERS[2])
            await bot.event(ANNA, "m.room.member", content, key=ANNA)
        assert waves(bot) == []


async def test_people_whom_managers_invite_are_no_wave_those_whom_members_invite_are(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        for user in STRANGERS[:8]:
            await invited(bot, MARK, user)
        await come(bot, STRANGERS[:8])
        assert waves(bot) == []
        for user in STRANGERS[8:12]:
            await invited(bot, ANNA, user)
        assert waves(bot) == [(4, "gate", 0)]


async def test_a_wave_goes_on_across_a_start_also_from_tables_made_again(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        await come(bot, STRANGERS[:3])
        bot.pipeline = await startup.caught_up(bot.config, BOT, bot.stores, bot.time, PlainReader())
        assert waves(bot) == []
        at, events = bot.time.ms, bot._events
    bot.state.lose()
    async with offline(tmp_path, GATE) as bot:
        bot.time.ms, bot._events = at, events
        await come(bot, STRANGERS[3:4])
        assert waves(bot) == [(4, "gate", 0)]


async def test_the_members_whom_the_bot_finds_are_no_wave(tmp_path: Path) -> None:
    async with offline(tmp_path, '[joins]\nwave = 3\ndo = "gate"\n') as bot:
        await come(bot, STRANGERS[:2])
        assert waves(bot) == []


async def test_joins_read_after_an_absence_are_no_wave(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        heard, raw = bot.time.ms, []
        for user in STRANGERS[:10]:
            await bot.pass_time(MINUTE)
            raw.append(bot.raw(user, "m.room.member", {"membership": "join"}, user))
        await bot.pipeline.take([receive(each, ROOM, bot.time()) for each in raw], heard_ms=heard)
        assert waves(bot) == []
        long_ago, raw = bot.time.ms, []
        for user in STRANGERS[10:20]:  # a wave, which was over long before it was read
            raw.append(bot.raw(user, "m.room.member", {"membership": "join"}, user))
        await bot.pass_time(60 * MINUTE)
        await bot.pipeline.take([receive(each, ROOM, bot.time()) for each in raw], heard_ms=long_ago)
        assert waves(bot) == []
        again = [bot.raw(user, "m.room.member", {"membership": "join"}, user) for user in STRANGERS[20:30]]
        await bot.pipeline.take([receive(each, ROOM, bot.time()) for each in again], heard_ms=bot.time.ms - MINUTE)
        assert waves(bot) == [(4, "gate", 0)]  # still going on


async def test_an_upgrade_brings_the_same_people_and_no_wave(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        await come(bot, STRANGERS[:8], later=MINUTE)
        new = RoomId("!garden2:example.org")
        await bot.enter_room(new, GroupCode("G-7F3K"), "group", LEVELS, "11", (OLGA, MARK))
        for user in STRANGERS[:8]:
            await bot.membership(user, "join", room=new)
        assert waves(bot) == []
        for user in STRANGERS[8:12]:
            await bot.membership(user, "join", room=new)
        assert waves(bot) == [(4, "gate", 0)]


async def test_those_of_a_wave_who_said_nothing_are_removed_each_with_a_case(tmp_path: Path) -> None:
    async with offline(tmp_path, UNDO) as bot:
        await come(bot, STRANGERS[:1])
        await bot.say(STRANGERS[0], "hello")
        await come(bot, STRANGERS[1:4])
        await come(bot, STRANGERS[4:5])  # behind the wave
        kicked = [(each.subject, each.n) for each in bot.facts(SanctionStarted) if each.kind == "kick"]
        assert kicked == [(STRANGERS[1], 2), (STRANGERS[2], 3), (STRANGERS[3], 4), (STRANGERS[4], 5)]
        cases = [(each.n, each.subject, each.rule) for each in bot.facts(CaseOpened)]
        assert cases == [(1, "", "join_wave"), *((n, user, "in_join_wave") for user, n in kicked)]
        (noticed,) = bot.facts(WaveNoticed)
        assert noticed.removed == 3
        assert {user for user, _ in await bot.tell()} >= {user for user, _ in kicked}
        await invited(bot, MARK, STRANGERS[5])
        await come(bot, STRANGERS[5:6])  # let in by a manager
        assert len(bot.facts(CaseOpened)) == 5


async def test_spam_that_was_removed_buys_nobody_a_place(tmp_path: Path) -> None:
    rule = '[[rules]]\nname = "spam"\nkind = "terms"\nmeasure = "redact"\nterms = ["forbidden"]\n'
    async with offline(tmp_path, UNDO + rule) as bot:
        await come(bot, STRANGERS[:2])
        await bot.say(STRANGERS[0], "forbidden")
        await bot.say(STRANGERS[1], "hello")
        await come(bot, STRANGERS[2:4])
        kicked = [each.subject for each in bot.facts(SanctionStarted) if each.kind == "kick"]
        assert kicked == [STRANGERS[0], STRANGERS[2], STRANGERS[3]]
        waiting = {type(row.action): row.priority for row in await bot.waiting()}
        assert waiting[Redact] < waiting[Kick]  # what can be seen goes first


@pytest.mark.parametrize("by", [MARK, OLGA])
async def test_a_false_alarm_is_dismissed_and_the_gate_is_gone(tmp_path: Path, by: UserId) -> None:
    async with offline(tmp_path, GATE) as bot:
        await come(bot, STRANGERS[:4])
        await bot.say(by, "!dismiss 1 our course begins today", room=DESK)
        assert [(each.n, each.what, each.by) for each in bot.facts(CaseDecided)] == [(1, "dismissed", by)]
        assert [(each.kind, each.why) for each in bot.facts(SanctionEnded)] == [("gate", "reversed")]
        await come(bot, STRANGERS[4:12])
        assert waves(bot) == [(4, "gate", 0)]  # no second alarm within half an hour


async def test_verified_people_are_let_in_through_the_gate(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE) as bot:
        friend, other = STRANGERS[20:22]
        await come(bot, STRANGERS[:4])
        until = bot.time.ms + 60 * MINUTE
        await bot.pipeline.commit((PersonVerified(method="roster", level=2, until=until, subject=friend),))
        await come(bot, [friend, other], "knock")
        assert [(each.what, each.subject) for each in bot.facts(DoorAnswered)] == [("admitted", friend)]


async def test_old_members_who_come_back_together_are_no_wave(tmp_path: Path) -> None:
    async with offline(tmp_path, UNDO) as bot:
        for user in STRANGERS[:5]:
            await bot.pass_time(10 * MINUTE)
            await bot.membership(user, "join")
        await bot.pass_time(90 * 24 * 60 * MINUTE)
        await come(bot, STRANGERS[:5], "leave")
        await come(bot, STRANGERS[:5])
        assert waves(bot) == []
        await come(bot, STRANGERS[5:8])  # with strangers they are none, either
        assert waves(bot) == []


async def test_people_who_were_removed_are_strangers_again(tmp_path: Path) -> None:
    async with offline(tmp_path, UNDO) as bot:
        await come(bot, STRANGERS[:4])
        await come(bot, STRANGERS[:4], "leave")
        await bot.pass_time(2 * 24 * 60 * MINUTE)
        await bot.scheduler.do_what_is_due()
        await come(bot, STRANGERS[:4])
        assert waves(bot) == [(4, "gate", 0)] * 2
        assert len([each for each in bot.facts(SanctionStarted) if each.kind == "kick"]) == 8


async def test_whom_the_operator_names_belongs_to_no_wave(tmp_path: Path) -> None:
    unless = 'unless = { users = ["@*:elsewhere.example"] }\n'
    async with offline(tmp_path, GATE + unless) as bot:
        await come(bot, STRANGERS[:9])
        assert waves(bot) == []


async def test_those_who_wrote_enough_that_stands_belong_to_no_wave(tmp_path: Path) -> None:
    async with offline(tmp_path, UNDO + "unless = { messages = 1 }\n") as bot:
        await bot.membership(STRANGERS[0], "join")
        await bot.say(STRANGERS[0], "hello")
        await bot.membership(STRANGERS[0], "leave")
        await come(bot, STRANGERS[:4])
        assert waves(bot) == []
        await come(bot, STRANGERS[4:5])
        assert waves(bot) == [(4, "gate", 0)]


async def test_who_is_invited_back_by_a_manager_is_no_stranger_after_a_start(tmp_path: Path) -> None:
    async with offline(tmp_path, UNDO) as bot:
        await bot.membership(STRANGERS[9], "join")
        await bot.membership(STRANGERS[9], "leave")
        await invited(bot, MARK, STRANGERS[9])
        await bot.pass_time(MINUTE)
        bot.pipeline = await startup.caught_up(bot.config, BOT, bot.stores, bot.time, PlainReader())
        await come(bot, STRANGERS[:4])
        await bot.membership(STRANGERS[9], "join")
        kicked = [each.subject for each in bot.facts(SanctionStarted) if each.kind == "kick"]
        assert kicked == STRANGERS[:4]


async def test_the_last_invitation_counts(tmp_path: Path) -> None:
    async with offline(tmp_path, UNDO) as bot:
        for by in (MARK, ANNA):
            await invited(bot, by, STRANGERS[9])
            await bot.membership(STRANGERS[9], "leave")
        await invited(bot, ANNA, STRANGERS[9])
        await bot.pass_time(MINUTE)
        await come(bot, [*STRANGERS[:4], STRANGERS[9]])
        kicked = [each.subject for each in bot.facts(SanctionStarted) if each.kind == "kick"]
        assert kicked == [*STRANGERS[:4], STRANGERS[9]]


async def test_the_owner_chooses_what_follows(tmp_path: Path) -> None:
    async with offline(tmp_path, "[joins]\nwave = 4\n") as bot:
        await come(bot, STRANGERS[:4])
        assert waves(bot) == [(4, "tell", 0)]
        assert bot.facts(SanctionStarted) == []
        await bot.say(OLGA, "!set joins gate", room=DESK)
        await bot.pass_time(31 * MINUTE)
        await come(bot, STRANGERS[4:8])
        assert waves(bot)[1:] == [(4, "gate", 0)]
