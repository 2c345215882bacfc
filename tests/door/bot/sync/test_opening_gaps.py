"""A gap that is opened while an earlier one of the same room is being closed is read."""

from pathlib import Path

from bot.sync.backfill import Gaps
from moderation.values.ids import EventId
from storage.state import backfill
from storage.state.backfill import Delivered
from tests.door.offline import ROOM, offline


async def test_a_gap_is_read_although_an_earlier_one_was_closed_while_it_was_written(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        services = bot.services(None)
        read: list[bool] = []
        gaps = Gaps(services, heard_ms=int, level=lambda: read.append(True))
        with gaps.opening({ROOM: Delivered()}) as also:
            await services.pipeline.commit(also=also)
        with gaps.opening({ROOM: Delivered(until=EventId("$notice"))}) as also:
            await gaps.end(ROOM)
            await services.pipeline.commit(also=also)
        assert read == [True]
        assert await services.database.fetch(backfill.gap_of, ROOM) is not None
        assert gaps.behind(ROOM)
