"""No deadline passes during a time in which the bot could not reach the homeserver, however short."""

from pathlib import Path

from bot.sync.presence import Presence
from moderation.model.facts import CaseMoved, CaseOpened, CreditChanged, NotSeen
from tests.door.offline import ANNA, Offline, offline

SECOND, DAY = 1_000, 86_400_000


def test_a_pause_lies_between_an_answer_and_the_next_answered_request() -> None:
    seen = Presence()
    seen.found(100)
    seen.answered(100, 130)
    seen.lose()
    seen.lose()
    seen.found(190)
    assert (seen.pauses(), seen.heard_ms) == ([(130, 190)], 190)
    seen.answered(190, 220)
    assert (seen.pauses(), seen.heard_ms) == ([], 220)


def test_a_pause_reaches_back_to_the_last_run() -> None:
    seen = Presence()
    seen.resume(100)
    seen.found(700)
    assert seen.pauses() == [(100, 700)]


def test_a_slow_answer_proves_presence_only_at_its_own_time() -> None:
    seen = Presence()
    seen.found(100)
    seen.answered(100, 100_100)
    assert (seen.pauses(), seen.heard_ms) == ([(100, 100_100)], 100_100)
    seen.found(300_000)  # nothing was asked for long: the machine slept
    assert seen.pauses() == [(100_100, 300_000)]


def test_no_other_request_proves_presence_while_one_fails_or_is_unrecorded() -> None:
    seen = Presence()
    seen.found(100)
    seen.arrived()
    seen.confirmed(150, 160)
    assert seen.heard_ms == 100
    seen.answered(100, 130)
    seen.confirmed(150, 160)
    assert seen.heard_ms == 160
    seen.lose()
    seen.confirmed(170, 180)
    assert seen.heard_ms == 160


async def due(bot: Offline) -> int:
    ((time,),) = await bot.rows("SELECT due FROM cases WHERE n = 1")
    return int(time)


async def almost_over(bot: Offline) -> int:
    """Open a case whose reminder is sent and which has ten seconds left. Returns when it is due."""
    await bot.say(ANNA, "forbidden")
    await bot.post_cards()
    await bot.pass_time(DAY - 10 * SECOND)
    await bot.scheduler.do_what_is_due()
    return await due(bot)


async def test_an_outage_of_seconds_moves_the_deadline_by_as_much_and_nobody_is_charged_in_it(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        first = await almost_over(bot)
        bot.be_asked(4 * SECOND)
        bot.up = False
        bot.be_asked(20 * SECOND)  # the deadline is over by the clock
        await bot.scheduler.do_what_is_due()
        bot.up = True
        bot.be_asked(3 * SECOND)
        await bot.scheduler.do_what_is_due()
        assert [(f.count, f.since) for f in bot.facts(NotSeen)] == [(20 * SECOND, first - 6 * SECOND)]
        assert await due(bot) == first + 20 * SECOND
        assert bot.facts(CreditChanged) == []
        bot.be_asked(3 * SECOND)
        await bot.scheduler.do_what_is_due()
        assert [f.rule for f in bot.facts(CaseOpened) if f.about] == ["duty_overdue"] * 2


async def test_a_deadline_does_not_pass_before_it_is_certain_that_the_homeserver_is_there(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await almost_over(bot)
        bot.up = False  # which nobody has noticed yet: the listener waits for an answer
        bot.time.ms += 15 * SECOND
        await bot.scheduler.do_what_is_due()
        assert [f.step for f in bot.facts(CaseMoved)] == ["reminded"]
        assert bot.presence.lost
        bot.up = True
        bot.be_asked(0)
        await bot.scheduler.do_what_is_due()
        assert [f.count for f in bot.facts(NotSeen)] == [15 * SECOND]
        assert [f.step for f in bot.facts(CaseMoved)] == ["reminded"]
