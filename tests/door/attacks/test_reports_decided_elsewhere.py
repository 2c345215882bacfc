"""The people of one room decide, or leave undecided, what somebody reports there, who then cannot report elsewhere."""

from pathlib import Path

from moderation.model.facts import Reported
from moderation.values.ids import RoomId, UserId
from tests.door.attacks.neighbours import ANNA, KITCHEN, MARK, RITA, ROOM, Neighbours, neighbours

HOUR = 3_600_000


async def report(two: Neighbours, room: RoomId, of: UserId, times: int) -> int:
    """Let Anna report messages of somebody in a room, one an hour. Returns how many are accepted."""
    before = len(two.bot.facts(Reported))
    for _ in range(times):
        said = await two.bot.event(of, "m.room.message", {"msgtype": "m.text", "body": "hi"}, room=room)
        await two.bot.say(ANNA, f"!report https://matrix.to/#/{room}/{said} bad", room)
        two.bot.time.ms += HOUR
    return len(two.bot.facts(Reported)) - before


async def test_reports_dismissed_by_socks_lower_no_budget_in_another_room(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        assert await report(two, KITCHEN, RITA, 3) == 3
        await two.decide(UserId("@sock:example.org"), "dismiss")
        two.bot.time.ms += 24 * HOUR
        assert await report(two, ROOM, MARK, 6) == 5


async def test_undecided_reports_of_one_room_block_no_reports_in_another(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        assert await report(two, KITCHEN, RITA, 6) == 5
        assert await report(two, ROOM, MARK, 1) == 0  # one person, one day
        two.bot.time.ms += 24 * HOUR
        assert await report(two, KITCHEN, RITA, 1) == 0
        assert await report(two, ROOM, MARK, 1) == 1


async def test_reports_upheld_by_friends_raise_no_budget_in_another_room(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        assert await report(two, KITCHEN, MARK, 5) == 5
        await two.decide(RITA, "uphold")
        two.bot.time.ms += 24 * HOUR
        assert await report(two, ROOM, MARK, 6) == 5
        assert await report(two, KITCHEN, MARK, 1) == 1
