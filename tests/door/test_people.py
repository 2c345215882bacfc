"""The people of the tests find each of many messages once, before and after they left a room."""

import asyncio
from collections.abc import Mapping

from tests.people.feed import Feed, Json
from tests.theatre.stage import Stage


async def test_more_than_one_answer_can_hold_is_found_once_each_and_in_order(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await stage.room(ann, ben)
    await ben.wait_event(room, lambda seen: seen.content.get("membership") == "join" and seen.sender == ben.user)
    here = ben.position
    sent = await asyncio.gather(*(ann.send_text(room, str(number)) for number in range(130)))

    await ben.wait_event(room, lambda seen: seen.id == sent[-1])

    found = [seen.id for seen in ben.seen[here:] if seen.kind == "timeline"]
    assert found == [event["event_id"] for event in await ann.messages(room, len(sent))]
    assert sorted(found) == sorted(sent)


async def test_messages_before_leaving_are_not_requested_after_a_new_invitation(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await stage.room(ann, ben)
    syncs = 0

    async def get(*segments: str, query: Mapping[str, str]) -> Json:
        nonlocal syncs
        answer: Json = await ben.request("GET", *segments, query=query)
        if segments == ("sync",) and (syncs := syncs + 1) == 2:
            await ann.invite(room, ben.user)  # between the answer, in which he has left, and what he asks then
        return answer

    feed = Feed(get)
    await feed.wait_for(lambda seen: seen.room == room, what="the room", within_s=120)
    for number in range(101):  # one more than an answer holds
        await ann.send_text(room, f"message {number}")
    await ann.kick(room, ben.user)
    after = len(feed.seen)
    invited = await feed.wait_for(
        lambda seen: seen.kind == "invite" and seen.content.get("membership") == "invite",
        what="the invitation",
        within_s=120,
        after=after,
    )
    assert invited.room == room
    assert [seen.content["body"] for seen in feed.seen[after:] if seen.type == "m.room.message"][-1] == "message 100"
