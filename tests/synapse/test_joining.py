"""The bot enters a room in which others talk meanwhile."""

import asyncio

from moderation.model.facts import RoomStateChanged
from tests.people.client import Client
from tests.theatre.scene import Theatre


async def test_nothing_is_recorded_before_the_notice_is_pinned_and_everything_after_it(theatre: Theatre) -> None:
    owner, talker, other = await theatre.people("owner", "talker", "other")
    bot = await theatre.bot("")
    room = await theatre.stage.room(owner, talker, other)
    await owner.set_power(room, {bot.user: 100})
    before = [await talker.send_text(room, f"before {n}") for n in range(3)]
    stop = asyncio.Event()

    async def chatter(who: Client) -> list[str]:
        said: list[str] = []
        while not stop.is_set():
            said.append(await who.send_text(room, f"word {len(said)}"))
        return said

    chatting = [asyncio.create_task(chatter(who)) for who in (talker, other)]
    await owner.invite(room, bot.user)
    await bot.until_condition(room, "protected")
    stop.set()
    said = [event for task in chatting for event in await task]
    last = await talker.send_text(room, "the last word")
    await bot.has(last)
    timeline = [event["event_id"] for event in await owner.messages(room, limit=1000)]
    (notice,) = [fact.notice for fact in bot.facts(RoomStateChanged) if fact.condition == "announced"]
    messages = {*before, *said, last}
    here = timeline.index(notice)
    assert [event for event in bot.recorded(room) if event in messages] == [
        event for event in timeline[here:] if event in messages
    ]
    assert {event for event in timeline[:here] if event in messages} > set(before)  # some came while it was joining
    pinned = await owner.state(room, "m.room.pinned_events")
    assert pinned == {"pinned": [notice]}
    entered = [fact.condition for fact in bot.facts(RoomStateChanged) if fact.room == room]
    assert entered == ["announced", "protected"]
