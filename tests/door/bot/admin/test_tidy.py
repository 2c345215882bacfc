"""The bot's messages in desks and direct rooms are redacted when their time is over, once."""

from pathlib import Path

from sqlalchemy import insert

from bot.admin.tidy import Tidier
from moderation.model.actions.removal import TakeBack
from moderation.model.facts import ActionTaken, RoomEntered
from moderation.values.ids import EventId, GroupCode, RoomId
from storage import schema
from tests.door.bot.effects.test_anchor_day import BOT, DAY_MS, NOON, ONE, Deployment, deployment

DESK, DIRECT = RoomId("!desk:example.org"), RoomId("!direct:example.org")
RETENTION_MS = 190 * DAY_MS


async def said(place: Deployment, room: RoomId, event: str, action: str | None = "tell-desk") -> None:
    """Let the bot say something: its event comes back, and the outcome is recorded."""
    record = place.stores.journal.size
    if action is not None:
        await place.pipeline.commit((ActionTaken(action=action, result="done", made=event),))
    values = {"event": event, "room": room, "sender": BOT, "kind": "posted", "at": place.now}
    async with place.stores.database.write() as db:
        await db.execute(insert(schema.events).values(record=record, **values))


async def set_up(place: Deployment) -> Tidier:
    await place.enter(ONE)
    desk = RoomEntered(room=DESK, code=GroupCode("G-DESK"), purpose="desk", served=GroupCode("G-7F3K"), room_id=DESK)
    direct = RoomEntered(room=DIRECT, code=GroupCode("G-D2D2"), purpose="direct", room_id=DIRECT)
    await place.pipeline.commit((desk, direct))
    await said(place, DESK, "$word")
    await said(place, DIRECT, "$file", "mydata")
    await said(place, DIRECT, "$second-file", "kick")  # the record names only one event of an answer in several files
    await said(place, DESK, "$checkpoint", "anchor")
    await said(place, ONE, "$notice", "say")
    place.now = NOON + 10 * DAY_MS
    await said(place, DESK, "$newer")
    return Tidier(place.pipeline, place.stores.database, place.data_dir / "records", RETENTION_MS, lambda: place.now)


async def taken_back(place: Deployment) -> list[EventId]:
    return [action.event for action in await place.waiting() if isinstance(action, TakeBack)]


async def test_goes_on_the_day_before_its_record_does_and_not_twice(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        tidier = await set_up(place)
        place.now = NOON + RETENTION_MS - DAY_MS
        assert await tidier.look() == 0
        place.now += 1
        assert await tidier.look() == 3
        assert await tidier.look() == 0
        assert sorted(await taken_back(place)) == ["$file", "$second-file", "$word"]


async def test_the_rest_goes_later(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        tidier = await set_up(place)
        place.now = NOON + RETENTION_MS
        await tidier.look()
        place.now += 11 * DAY_MS
        assert await tidier.look() == 1
        assert "$newer" in await taken_back(place)
