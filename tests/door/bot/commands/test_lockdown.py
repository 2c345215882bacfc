"""`!lockdown everywhere`: every room of the community that the caller owns, and no other."""

from pathlib import Path

from moderation.model.facts import CaseOpened, SanctionEnded, SanctionStarted
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.offline import ANNA, BOT, DESK, LEVELS, MARK, OLGA, ROOM, Offline, offline

OPERA = UserId("@opera:example.org")
CLUB = """
[[communities.named]]
name = "club"
rooms = ["G-7F3K", "G-K2TC", "G-PATH"]
"""
MINE, NOT_MINE, ELSEWHERE = (RoomId(f"!{name}:example.org") for name in ("kitchen", "path", "pub"))


async def with_rooms(bot: Offline) -> None:
    """Let Olga own a second room of the community and one elsewhere, and be in another that Anna owns."""
    of_anna = {"users": {str(ANNA): 100, str(BOT): 100, str(OLGA): 50}}
    await bot.enter_room(MINE, GroupCode("G-K2TC"), "group", LEVELS, "11", (OLGA, MARK))
    await bot.enter_room(NOT_MINE, GroupCode("G-PATH"), "group", of_anna, "11", (OLGA, ANNA))
    await bot.enter_room(ELSEWHERE, GroupCode("G-PUBS"), "group", LEVELS, "11", (OLGA,))


def locked(bot: Offline) -> list[tuple[str | None, int]]:
    return [(each.room, each.n) for each in bot.facts(SanctionStarted) if each.kind == "lockdown"]


async def test_an_owner_locks_down_the_rooms_of_their_community_that_they_own(tmp_path: Path) -> None:
    async with offline(tmp_path, CLUB) as bot:
        await with_rooms(bot)
        await bot.say(OLGA, "!lockdown 15m everywhere strangers", room=DESK)
        assert locked(bot) == [(ROOM, 0), (MINE, 0)]
        assert {each.reason for each in bot.facts(SanctionStarted)} == {"strangers"}
        await bot.say(OLGA, "!lockdown 15m everywhere", room=DESK)  # it holds already
        assert len(locked(bot)) == 2
        await bot.say(OLGA, "!lockdown off everywhere", room=DESK)
        assert [(each.room, each.why) for each in bot.facts(SanctionEnded)] == [(ROOM, "command"), (MINE, "command")]


async def test_without_the_word_only_this_room_is_locked_and_managers_lock_none(tmp_path: Path) -> None:
    async with offline(tmp_path, CLUB) as bot:
        await with_rooms(bot)
        await bot.say(MARK, "!lockdown everywhere", room=DESK)
        assert locked(bot) == []
        await bot.say(OLGA, "!lockdown strangers", room=DESK)
        assert locked(bot) == [(ROOM, 0)]


async def test_an_operator_locks_down_all_rooms_each_with_a_case_for_its_owner(tmp_path: Path) -> None:
    async with offline(tmp_path, f'operators = ["{OPERA}"]\n{CLUB}', desk=(OLGA, MARK, OPERA)) as bot:
        await with_rooms(bot)
        await bot.say(OPERA, "!lockdown everywhere 15m strangers", room=DESK)
        assert sorted(locked(bot)) == sorted([(ROOM, 1), (MINE, 2), (NOT_MINE, 3), (ELSEWHERE, 4)])
        owners = {each.room: each.subject for each in bot.facts(CaseOpened)}
        # Anna was only given the level, and has not taken the duty on.
        assert owners == {ROOM: OLGA, MINE: OLGA, NOT_MINE: "", ELSEWHERE: OLGA}
