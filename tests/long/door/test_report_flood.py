"""Reports that nobody decides while days pass; a report looked at again: the whole bot, without a homeserver."""

from pathlib import Path
from typing import Any

from moderation.model.builtin_rules import OVERDUE, REPORTED, UNDECIDED
from moderation.model.facts import (
    Appealed,
    CaseAssigned,
    CaseDecided,
    CaseOpened,
    CreditChanged,
    Reported,
    SanctionStarted,
)
from moderation.values.durations import DAY_MS
from moderation.values.ids import UserId
from tests.door.offline import ANNA, DESK, MARK, MINA, OLGA, Offline, offline

GUESTS = [UserId(f"@guest{n}:example.org") for n in range(13)]


async def flag(bot: Offline, who: UserId, event: str) -> None:
    relation = {"rel_type": "m.annotation", "event_id": event, "key": "🚩"}
    await bot.event(who, "m.reaction", {"m.relates_to": relation})


async def greetings(bot: Offline, people: list[UserId]) -> list[str]:
    for user in people:
        await bot.membership(user, "join")
    return [await bot.event(user, "m.room.message", {"msgtype": "m.text", "body": "hello"}) for user in people]


async def live(bot: Offline, ms: int, step: int = DAY_MS // 8) -> None:
    """Let time pass, and let the scheduler run at each step."""
    for _ in range(ms // step):
        await bot.post_cards()
        await bot.tell()
        await bot.pass_time(step)
        await bot.scheduler.do_what_is_due()


def open_reports(bot: Offline) -> list[tuple[int, int]]:
    return [(f.n, f.lead) for f in bot.facts(CaseOpened) if f.rule == REPORTED]


async def test_thirteen_reports_that_nobody_decides_cost_each_on_duty_once_and_pause_the_reporter(
    tmp_path: Path,
) -> None:
    async with offline(tmp_path) as bot:
        for event in await greetings(bot, GUESTS):
            await flag(bot, ANNA, event)
        assert open_reports(bot) == [(1, 0), (2, 1), (3, 1), (4, 1), (5, 1)]
        assert len(bot.facts(Reported)) == 5
        await live(bot, 10 * DAY_MS)
        neglect = [f for f in bot.facts(CaseOpened) if f.rule == OVERDUE]
        assert [f.subject for f in neglect] == [MARK, MINA, OLGA]
        assert min(f.left for f in bot.facts(CreditChanged) if f.ledger == "standing") >= 80
        done: list[Any] = [(f.kind, f.rule, f.subject) for f in bot.facts(SanctionStarted)]
        assert done == [("warn", UNDECIDED, ANNA)]


async def test_a_person_who_reports_something_each_day_cannot_use_up_the_standing_of_the_managers(
    tmp_path: Path,
) -> None:
    async with offline(tmp_path) as bot:
        for event in await greetings(bot, GUESTS):
            await flag(bot, ANNA, event)
            await live(bot, DAY_MS)
        assert len(open_reports(bot)) == 5
        standing = {f.subject: f.left for f in bot.facts(CreditChanged) if f.ledger == "standing"}
        assert min(standing.values()) >= 40
        assert [f.rule for f in bot.facts(SanctionStarted)].count(UNDECIDED) >= 1
        assert {f.kind for f in bot.facts(SanctionStarted)} == {"warn"}


async def test_a_reporters_appeal_is_heard_by_somebody_else_and_the_person_concerned_can_appeal_in_turn(
    tmp_path: Path,
) -> None:
    async with offline(tmp_path) as bot:
        (event,) = await greetings(bot, GUESTS[:1])
        await flag(bot, ANNA, event)
        await bot.say(MARK, "!dismiss 1", room=DESK)
        assert bot.facts(CaseDecided) == []
        await bot.say(MARK, "!dismiss 1 a greeting", room=DESK)
        await bot.say(ANNA, "!appeal 1 look again")
        assert [(f.subject, f.report) for f in bot.facts(Appealed)] == [(ANNA, 1)]
        assert [f.subject for f in bot.facts(CaseAssigned)][2:] == [MINA]
        await bot.say(MARK, "!dismiss 1 as before", room=DESK)
        await bot.say(MINA, "!uphold 1 spam after all", room=DESK)
        await bot.say(GUESTS[0], "!appeal 1 it was a greeting")
        await bot.say(MARK, "!dismiss 1 so it was", room=DESK)
        assert [(f.what, f.state, f.by) for f in bot.facts(CaseDecided)] == [
            ("dismissed", "decided", MARK),
            ("upheld", "reversed", MINA),
            ("dismissed", "reversed", MARK),
        ]
        assert [f.kind for f in bot.facts(SanctionStarted)] == ["redact"]
