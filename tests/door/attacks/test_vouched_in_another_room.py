"""A sock puppet is vouched for in the attacker's own room, and knocks at the door of others."""

from pathlib import Path

from moderation.model.facts import DoorAnswered, PersonVerified
from moderation.values.ids import UserId
from tests.door.attacks.neighbours import MARK, OLGA, OPERA, RITA, ROOM, SOCK, TOGETHER, Neighbours, neighbours
from tests.door.offline import RULES

GATED = '[[verification.rooms]]\nrooms = ["G-7F3K"]\nwrite = 2\nbelow = "gate"\n'
YEAR = 365 * 86_400_000


async def on_the_roster(two: Neighbours, *users: UserId) -> None:
    """Verify people by the roster, which is the operator's and so counts everywhere."""
    until = two.bot.time.ms + YEAR
    await two.bot.pipeline.commit([PersonVerified(method="roster", level=2, until=until, subject=u) for u in users])


async def answered(two: Neighbours, user: UserId) -> list[str]:
    """Return the answers to somebody who knocks at the garden's door."""
    await two.bot.membership(user, "knock")
    return [fact.what for fact in two.bot.facts(DoorAnswered) if fact.subject == user]


async def test_a_vouch_from_the_attackers_room_does_not_count_in_other_rooms(tmp_path: Path) -> None:
    async with neighbours(tmp_path, RULES + GATED) as two:
        await on_the_roster(two, RITA)
        await two.in_kitchen(RITA, f"!vouch {SOCK}")
        assert [fact.reach for fact in two.bot.facts(PersonVerified) if fact.subject == SOCK] == ["G-CU5K"]
        assert await answered(two, SOCK) == ["knocked"]


async def test_a_voucher_must_be_verified_at_least_as_well(tmp_path: Path) -> None:
    async with neighbours(tmp_path, RULES + GATED) as two:
        await two.in_kitchen(RITA, f"!vouch {SOCK}")
        assert two.bot.facts(PersonVerified) == []
        await two.bot.say(OPERA, f"!vouch {OLGA}")  # somebody has to be the first
        await two.bot.say(OLGA, f"!vouch {MARK}")
        await two.bot.say(MARK, f"!vouch {SOCK}")
        assert [fact.subject for fact in two.bot.facts(PersonVerified)] == [OLGA, MARK, SOCK]
        assert await answered(two, SOCK) == ["admitted"]


async def test_a_vouch_counts_in_the_community_and_any_owner_there_takes_it_back(tmp_path: Path) -> None:
    async with neighbours(tmp_path, TOGETHER + RULES + GATED) as two:
        await on_the_roster(two, RITA)
        await two.in_kitchen(RITA, f"!vouch {SOCK}")
        await two.bot.say(OLGA, f"!unvouch {SOCK}")
        assert [(fact.step, fact.by) for fact in two.bot.facts(PersonVerified)][1:] == [
            ("verified", RITA),
            ("revoked", OLGA),
        ]
        assert await answered(two, SOCK) == ["knocked"]


async def test_the_who_command_shows_verification_that_counts_in_that_room(tmp_path: Path) -> None:
    """`!who` does not show people as verified who are so only elsewhere."""
    async with neighbours(tmp_path) as two:
        await on_the_roster(two, RITA)
        await two.in_kitchen(RITA, f"!vouch {MARK}")
        said = "SELECT count(*) FROM outbox WHERE action LIKE '%who.verified%' AND action LIKE '%' || ? || '%'"
        await two.in_kitchen(MARK, "!who")
        assert await two.bot.rows(said.replace("?", f"'{MARK}'")) == [(1,)]
        await two.bot.say(OLGA, "!who", ROOM)
        assert await two.bot.rows(said.replace("?", f"'{MARK}'")) == [(1,)]
