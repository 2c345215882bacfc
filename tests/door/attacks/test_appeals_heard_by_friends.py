"""Somebody who was decided against in the attacker's room appeals, and the attacker's friends hear the appeal."""

from pathlib import Path

from moderation.model.facts import CaseAssigned, CaseDecided, PersonVerified
from moderation.values.ids import RoomId, UserId
from tests.door.attacks.neighbours import ANNA, KITCHEN, MARK, OPERA, RITA, ROOM, SOCK, Neighbours, neighbours
from tests.door.offline import MINA, OLGA, RULES

BY_ITSELF = RULES.replace('decide = "manager"', 'decide = "auto"')


def asked(two: Neighbours) -> list[tuple[str, UserId]]:
    """Return who was asked last about case 1, and at which level."""
    found = [(str(fact.asked), fact.subject) for fact in two.bot.facts(CaseAssigned) if fact.n == 1]
    return found[-1:]


async def state(two: Neighbours) -> str:
    [(found,)] = await two.bot.rows("SELECT state FROM cases WHERE n = 1")
    return str(found)


async def say(two: Neighbours, user: UserId, words: str, room: RoomId = KITCHEN) -> None:
    await two.bot.say(user, words, room)
    two.bot.time.ms += 1_000


async def test_an_appeal_against_a_decision_of_wider_reach_goes_to_the_operator(tmp_path: Path) -> None:
    async with neighbours(tmp_path, BY_ITSELF) as two:
        await say(two, MARK, "a forbidden word")
        await say(two, MARK, "!appeal 1 it was a quotation")
        assert asked(two) == [("operator", OPERA)]
        await say(two, SOCK, "!uphold 1 no")
        await say(two, RITA, "!uphold 1 no")
        assert (await state(two), two.bot.facts(CaseDecided)) == ("appealed", [])
        await say(two, OPERA, "!dismiss 1 it was a quotation")
        assert await state(two) == "reversed"
        assert await two.credit(MARK, ROOM) == 100


async def test_an_appeal_against_a_room_decision_is_heard_there_then_by_the_operator(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await say(two, MARK, "a forbidden word")
        await say(two, RITA, "!uphold 1 so")
        await say(two, MARK, "!appeal 1 I was not")
        assert asked(two) == [("managers", SOCK)]
        await say(two, SOCK, "!uphold 1 you were")
        assert await state(two) == "affirmed"
        await say(two, MARK, "!appeal 1 they are friends")
        assert (await state(two), asked(two)) == ("appealed", [("operator", OPERA)])
        await say(two, RITA, "!uphold 1 no")
        assert await state(two) == "appealed"
        await say(two, OPERA, "!dismiss 1 they are")
        assert await state(two) == "reversed"
        assert await two.credit(MARK, KITCHEN) == 100


async def test_a_decision_that_the_operator_affirmed_is_final(tmp_path: Path) -> None:
    async with neighbours(tmp_path, BY_ITSELF) as two:
        await say(two, MARK, "a forbidden word")
        await say(two, MARK, "!appeal 1 no")
        await say(two, OPERA, "!uphold 1 yes")
        await say(two, MARK, "!appeal 1 no")
        assert await state(two) == "affirmed"
        assert "error.appeal.heard" in str(await two.bot.rows("SELECT action FROM outbox"))


async def test_a_friend_of_the_decider_hears_no_appeal_if_another_manager_can(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        until = two.bot.time.ms + 365 * 86_400_000
        known = PersonVerified(method="roster", level=2, until=until, subject=MARK)
        await two.bot.pipeline.commit((known,))
        await say(two, MARK, f"!vouch {MINA}", ROOM)
        await say(two, ANNA, "a forbidden word", ROOM)
        await say(two, MARK, "!uphold 1 so", ROOM)
        await say(two, ANNA, "!appeal 1 I was not", ROOM)
        assert asked(two) == [("owner", OLGA)]
        await say(two, MINA, "!uphold 1 you were", ROOM)
        assert await state(two) == "appealed"
        await say(two, OLGA, "!dismiss 1 she was not", ROOM)
        assert await state(two) == "reversed"
