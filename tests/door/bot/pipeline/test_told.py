"""Nobody is charged for a case they were not told of; a case nobody can be told of moves to the next level."""

from pathlib import Path

from moderation.model.facts import CaseAssigned, CaseMoved, CreditChanged, PersonVerified
from tests.door.offline import ANNA, DESK, MARK, MINA, OLGA, ROOM, Offline, offline

DAY, HOUR = 86_400_000, 3_600_000


def charged(bot: Offline) -> list[str]:
    return [fact.subject for fact in bot.facts(CreditChanged)]


async def all_have_acted(bot: Offline) -> None:
    """Let all managers act, which puts them on duty even if they never came into the desk."""
    acts = [
        PersonVerified(room=ROOM, method="vouch", level=2, until=bot.time.ms + 365 * DAY, subject=ANNA, by=by)
        for by in (OLGA, MARK, MINA)
    ]
    await bot.pipeline.commit(acts)
    await bot.tell()


async def test_the_card_tells_people_in_the_desk_and_others_are_told_in_private(tmp_path: Path) -> None:
    async with offline(tmp_path, desk=(OLGA, MARK)) as bot:
        await all_have_acted(bot)
        await bot.say(ANNA, "forbidden")
        assert [(f.subject, f.how) for f in bot.facts(CaseAssigned)] == [(MARK, "card"), (MINA, "word")]
        await bot.post_cards()
        assert await bot.tell() == [(MINA, 1)]
        await bot.pass_time(DAY)
        await bot.scheduler.do_what_is_due()
        assert charged(bot) == [MARK, MINA]


async def test_a_manager_who_was_not_reached_is_not_charged(tmp_path: Path) -> None:
    async with offline(tmp_path, desk=(OLGA, MARK)) as bot:
        await all_have_acted(bot)
        await bot.say(ANNA, "forbidden")
        await bot.post_cards()
        assert await bot.tell("none") == [(MINA, 1)]
        await bot.pass_time(DAY)
        await bot.scheduler.do_what_is_due()
        assert charged(bot) == [MARK]


async def test_joining_the_desk_later_counts_as_told_after_the_next_word_on_the_case(
    tmp_path: Path,
) -> None:
    async with offline(tmp_path, desk=(OLGA,)) as bot:
        await all_have_acted(bot)
        await bot.say(ANNA, "forbidden")
        await bot.membership(MARK, "join", room=DESK)
        await bot.post_cards()
        await bot.pass_time(DAY)
        await bot.scheduler.do_what_is_due()
        assert charged(bot) == [MARK]


async def test_a_case_that_reaches_no_manager_goes_to_the_owner_then_to_the_operator(
    tmp_path: Path,
) -> None:
    async with offline(tmp_path, desk=()) as bot:
        await all_have_acted(bot)
        await bot.say(ANNA, "forbidden")
        await bot.post_cards()
        await bot.tell("none")
        await bot.pass_time(12 * HOUR)
        await bot.scheduler.do_what_is_due()
        assert [(f.step, f.asked) for f in bot.facts(CaseMoved)] == [("escalated", "owner")]
        assert await bot.tell("none") == [(OLGA, 1)]
        await bot.pass_time(12 * HOUR)
        await bot.scheduler.do_what_is_due()
        assert [(f.step, f.asked) for f in bot.facts(CaseMoved)][1:] == [("escalated", "operator")]
        assert charged(bot) == []


async def test_a_notified_owner_answers_for_a_passed_on_case(tmp_path: Path) -> None:
    async with offline(tmp_path, desk=()) as bot:
        await all_have_acted(bot)
        await bot.say(ANNA, "forbidden")
        await bot.tell("none")
        await bot.pass_time(12 * HOUR)
        await bot.scheduler.do_what_is_due()
        assert await bot.tell() == [(OLGA, 1)]
        await bot.pass_time(DAY)
        await bot.scheduler.do_what_is_due()
        assert charged(bot) == [OLGA]
