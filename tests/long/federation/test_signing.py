"""Real homeservers ask a policy server, let messages through on its word, and show nobody what it refuses.

The policy server is the library alone: this shows what the product can rely on.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from moderation.values.ids import RoomId
from tests.long.federation.conftest import Pair, join_through
from tests.long.federation.lone_server import LoneServer
from tests.long.federation.our_server import OurServer
from tests.long.federation.word_policy import BAD_WORD, REFUSAL, WordPolicy
from tests.people.client import Client, MatrixError
from tests.theatre.stage import Stage, text, unique

VERSIONS = ("10", "11", "12")
BAD = text(f"an {BAD_WORD}")


@pytest.fixture
async def policy(pair: Pair) -> AsyncIterator[WordPolicy]:
    """Provide a policy server."""
    async with WordPolicy(pair.authority) as policy:
        yield policy


class Room:
    """A public room with its owner here and a guest there, which asks the policy server."""

    def __init__(self, room: RoomId, owner: Client, guest: Client) -> None:
        self.id, self.owner, self.guest = room, owner, guest

    @classmethod
    async def made(cls, pair: Pair, here: Stage, there: Stage, policy: WordPolicy, version: str = "12") -> "Room":
        owner, guest = await here.person("owner"), await there.person("guest")
        room = await owner.create_room(unique("room"), version=version, private=False)
        await join_through(guest, room, pair.here.server_name)
        await policy.look_after(owner, room)
        await guest.wait_state(room, "m.room.policy", bool)
        return cls(room, owner, guest)

    async def seen_by_all(self, event_id: str) -> None:
        for each in (self.owner, self.guest):
            await each.wait_event(self.id, lambda seen: seen.id == event_id)

    async def seen_by_nobody(self, *event_ids: str) -> None:
        """Show it by what comes after: both see a later message of each other, and none of these."""
        for each in (self.owner, self.guest):
            await self.seen_by_all(await each.send_text(self.id, "afterwards"))
        for each in (self.owner, self.guest):
            assert not {message["event_id"] for message in await each.messages(self.id)} & set(event_ids)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_bad_message_is_refused_on_both_homeservers_with_our_words(
    pair: Pair, here: Stage, there: Stage, policy: WordPolicy, version: str
) -> None:
    room = await Room.made(pair, here, there, policy, version)
    for person, server in ((room.owner, pair.here), (room.guest, pair.there)):
        await room.seen_by_all(await person.send_text(room.id, "hello"))
        with pytest.raises(MatrixError) as refused:
            await person.send(room.id, "m.room.message", BAD)
        assert (refused.value.status, refused.value.errcode, refused.value.error) == (400, "M_FORBIDDEN", REFUSAL)
        origin, pdu = policy.asked[-1]
        assert (origin, pdu.sender, pdu.version.name) == (server.server_name, person.user, version)
        await room.seen_by_nobody(pdu.event_id)


async def test_a_signed_message_is_not_asked_about_again_by_the_other_homeserver(
    pair: Pair, here: Stage, there: Stage, policy: WordPolicy
) -> None:
    room = await Room.made(pair, here, there, policy)
    said = await room.owner.send_text(room.id, "hello")
    await room.seen_by_all(said)
    assert policy.was_asked(said) == [pair.here.server_name]


async def test_a_membership_is_asked_about_by_the_homeserver_that_it_comes_to(
    pair: Pair, here: Stage, there: Stage, policy: WordPolicy
) -> None:
    """Synapse asks for no signature on a membership of its own; without one, the other would let nobody in."""
    room = await Room.made(pair, here, there, policy)
    newcomer = await here.person("newcomer")
    await newcomer.join(room.id)
    await room.guest.wait_state(room.id, "m.room.member", lambda content: "join" in content.values(), key=newcomer.user)
    asked = {origin for origin, pdu in policy.asked if pdu.type == "m.room.member" and pdu.state_key == newcomer.user}
    assert asked == {pair.there.server_name}


async def test_what_was_never_signed_is_seen_by_nobody(
    pair: Pair, here: Stage, there: Stage, policy: WordPolicy, ours: OurServer
) -> None:
    room = await Room.made(pair, here, there, policy)
    lone = LoneServer(ours, await ours.join(room.id, pair.here.server_name))
    good, bad = lone.made(text("hello")), lone.made(BAD)
    assert [await lone.send(each) for each in (good, bad)] == [{}, {}]
    assert policy.was_asked(bad.event_id) == policy.was_asked(good.event_id) == [pair.here.server_name]
    await room.owner.wait_event(room.id, lambda seen: seen.id == good.event_id)
    await room.seen_by_nobody(bad.event_id)


async def test_a_signature_for_another_text_is_not_to_be_had(
    pair: Pair, here: Stage, there: Stage, policy: WordPolicy, ours: OurServer
) -> None:
    room = await Room.made(pair, here, there, policy)
    lone = LoneServer(ours, await ours.join(room.id, pair.here.server_name))
    bad = lone.made(BAD)
    harmless = {**bad.event, "content": text("hello")}
    status, answer = await lone.ask(policy.name, harmless)
    assert (status, answer["errcode"]) == (400, "M_BAD_JSON")
    signatures = {**bad.event["signatures"], policy.name: {"ed25519:policy_server": "A" * 86}}
    assert await lone.send(bad, {**bad.event, "signatures": signatures}) == {}
    await room.seen_by_nobody(bad.event_id)


async def test_the_owner_turns_it_off_without_asking_it(
    pair: Pair, here: Stage, there: Stage, policy: WordPolicy
) -> None:
    room = await Room.made(pair, here, there, policy)
    await room.owner.set_state(room.id, "m.room.policy", {})
    await room.guest.wait_state(room.id, "m.room.policy", lambda content: not content)
    async with asyncio.timeout(120):
        await room.seen_by_all(await room.guest.send(room.id, "m.room.message", BAD))
    assert [pdu.type for _, pdu in policy.asked if pdu.type == "m.room.policy"] == []
