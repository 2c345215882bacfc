"""The rooms that a start looks at: those in which something holds, and those in which people must ask to come in."""

from pathlib import Path

from bot import startup
from moderation.model.actions.rooms import Align, AlignServers, KeepLobby
from moderation.model.facts import SanctionEnded, SanctionStarted
from moderation.values.ids import GroupCode, RoomId
from storage import queries
from tests.door.offline import ANNA, LEVELS, MARK, MINA, OLGA, ROOM, RULES, Offline, offline

OTHER = RoomId("!orchard:example.org")
GATE = '[[verification.rooms]]\nrooms = ["G-ACDE"]\nwrite = 2\nbelow = "gate"\n'


async def checks(bot: Offline) -> tuple[Align | AlignServers | KeepLobby, ...]:
    async with bot.stores.database.read() as db:
        return await startup.checks_at_start(db, bot.config.policy, await queries.active_groups(db))


async def test_a_start_checks_only_rooms_in_which_something_holds(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.enter_room(OTHER, GroupCode("G-ACDE"), "group", LEVELS, "11", (OLGA, MARK, MINA))
        assert await checks(bot) == ()
        mute = SanctionStarted(room=ROOM, kind="mute", basis="operator", subject=ANNA, until=bot.time.ms + 1_000)
        await bot.pipeline.commit((mute,))
        assert await checks(bot) == (Align(room=ROOM, routine=True),)
        await bot.pipeline.commit((SanctionStarted(kind="ban", basis="operator", subject=MINA),))
        assert await checks(bot) == (Align(room=ROOM, routine=True), Align(room=OTHER, routine=True))
        started = bot.recorded(SanctionStarted)
        ended = (
            SanctionEnded(room=fact.room, start=index, kind=fact.kind, why="time", subject=fact.subject)
            for index, fact in started
        )
        await bot.pipeline.commit(tuple(ended))
        assert await checks(bot) == ()


async def test_a_start_checks_gated_rooms_and_their_lobbies(tmp_path: Path) -> None:
    async with offline(tmp_path, GATE + RULES) as bot:
        await bot.enter_room(OTHER, GroupCode("G-ACDE"), "group", LEVELS, "11", (OLGA, MARK))
        assert await checks(bot) == (Align(room=OTHER, routine=True), KeepLobby(room=OTHER))
