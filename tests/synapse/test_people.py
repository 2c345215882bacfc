"""The people of the tests see everything, wait for the right thing, and report what they missed."""

import asyncio

import pytest

from tests.people.client import Client, MatrixError, NotReceived
from tests.theatre.stage import Stage, unique


async def test_a_person_registers_logs_in_and_leaves(stage: Stage) -> None:
    name = unique("ann")
    async with (
        await Client.register(stage.server.url, name, "a password") as first,
        await Client.log_in(stage.server.url, name, "a password") as second,
    ):
        assert first.user == second.user == f"@{name}:localhost"
        assert first.token != second.token


async def test_a_refusal_is_raised_as_it_came(stage: Stage) -> None:
    with pytest.raises(MatrixError) as caught:
        await Client.log_in(stage.server.url, unique("nobody"), "wrong")
    assert (caught.value.status, caught.value.errcode) == (403, "M_FORBIDDEN")


async def test_an_earlier_event_is_found(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await stage.room(ann, ben)
    await ann.send_text(room, "one")
    two = await ann.send_text(room, "two")

    assert (await ben.wait_event(room, lambda seen: seen.body == "two")).id == two
    assert (await ben.wait_event(room, lambda seen: seen.body == "one")).sender == ann.user


async def test_several_wait_at_once_for_what_is_still_to_come(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await stage.room(ann, ben)
    waits = [
        asyncio.create_task(ben.wait_event(room, lambda seen, body=body: seen.body == body))  # type: ignore[misc]
        for body in ("one", "two", "three")
    ]
    for body in ("three", "one", "two"):
        await ann.send_text(room, body)
    assert [seen.body for seen in await asyncio.gather(*waits)] == ["one", "two", "three"]


async def test_after_a_position_only_what_is_new_counts(stage: Stage) -> None:
    ann = await stage.person("ann")
    room = await stage.room(ann)
    first = await ann.send_text(room, "again")
    assert (await ann.wait_event(room, lambda seen: seen.body == "again")).id == first
    here = ann.position
    second = await ann.send_text(room, "again")
    assert (await ann.wait_event(room, lambda seen: seen.body == "again", after=here)).id == second


async def test_a_wait_in_vain_says_for_what_and_what_was_seen(stage: Stage) -> None:
    ann = await stage.person("ann")
    room = await stage.room(ann)
    await ann.send_text(room, "not this")
    await ann.wait_event(room, lambda seen: seen.body == "not this")
    with pytest.raises(NotReceived, match=r"(?s)waited 0\.3 s for a verdict in !.* as @ann-.*not this"):
        await ann.wait_event(room, lambda seen: seen.body == "this", what="a verdict", within_s=0.3)


async def test_nothing_is_lost_when_a_wait_is_broken_off(stage: Stage) -> None:
    ann = await stage.person("ann")
    room = await stage.room(ann)
    with pytest.raises(NotReceived):
        await ann.wait_event(room, lambda seen: seen.body == "later", within_s=0.2)
    await ann.send_text(room, "later")
    assert await ann.wait_event(room, lambda seen: seen.body == "later")


async def test_invite_kick_and_the_end_of_a_room_are_seen(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await ann.create_room("r", invite=[ben.user])
    invite = await ben.wait_invite()
    assert (invite.room, invite.sender) == (room, ann.user)
    await ben.join(room)
    await ann.kick(room, ben.user)
    kick = await ben.wait_event(room, lambda seen: seen.content.get("membership") == "leave")
    assert (kick.sender, kick.state_key) == (ann.user, ben.user)
    assert await ann.members(room) == {ann.user: "join", ben.user: "leave"}


async def test_state_counts_as_it_is_now_not_as_it_was(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await stage.room(ann, ben)
    waiting = asyncio.create_task(ben.wait_state(room, "m.room.topic", lambda content: content.get("topic") == "tea"))
    await ann.set_state(room, "m.room.topic", {"topic": "coffee"})
    await ann.set_state(room, "m.room.topic", {"topic": "tea"})
    assert (await waiting)["topic"] == "tea"
    with pytest.raises(NotReceived, match="coffee"):
        await ben.wait_state(
            room, "m.room.topic", lambda content: content.get("topic") == "coffee", what="coffee", within_s=0.2
        )


async def test_power_is_given_and_taken(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await stage.room(ann, ben)
    await ann.set_power(room, {ben.user: 50})
    assert (await ben.power_levels(room))["users"] == {ben.user: 50}
    await ann.set_power(room, {ben.user: None})
    assert (await ben.power_levels(room))["users"] == {}


async def test_messages_edits_reactions_and_redactions(stage: Stage) -> None:
    ann, ben = await stage.person("ann"), await stage.person("ben")
    room = await stage.room(ann, ben)
    event = await ann.send_text(room, "helo", **{"m.mentions": {"user_ids": [ben.user]}})
    edit = await ann.edit(room, event, "hello")
    reaction = await ben.react(room, event, "👍")
    assert [seen["event_id"] for seen in await ben.messages(room, 3)] == [event, edit, reaction]
    assert (await ben.event(room, event))["unsigned"]["m.relations"]["m.replace"]["event_id"] == edit
    assert not await ben.is_redacted(room, event)
    await ann.redact(room, event, "a slip")
    assert await ben.is_redacted(room, event)
    assert (await ben.wait_event(room, lambda seen: seen.type == "m.room.redaction")).content["reason"] == "a slip"
