"""A server of ours joins and leaves rooms of real homeservers, and they count it as one that is there."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from bot.federation.errors import ServerRefused
from bot.federation.join import VOUCHED
from bot.federation.room_state import state_now
from moderation.values.ids import RoomId
from tests.long.federation.conftest import Pair, join_through
from tests.long.federation.our_server import OurServer
from tests.theatre.stage import Stage, unique

DEADLINE_S = 120.0
VERSIONS = ("10", "11", "12")
KEPT = "org.example.kept"


def is_joined(membership: Mapping[str, Any]) -> bool:
    return bool(membership.get("membership") == "join")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_public_room_is_joined_and_left(pair: Pair, here: Stage, ours: OurServer, version: str) -> None:
    owner = await here.person("owner")
    room = await owner.create_room(unique("room"), version=version, private=False)
    joined = await ours.join(room, pair.here.server_name)
    assert (joined.room, joined.version.name) == (room, version)
    assert (await owner.members(room))[ours.user] == "join"
    assert (await owner.state(room, "m.room.member", ours.user) or {})["displayname"] == "Rules"
    await ours.leave(room, pair.here.server_name)
    assert (await owner.members(room))[ours.user] == "leave"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_restricted_room_is_joined_by_being_in_another(
    pair: Pair, here: Stage, ours: OurServer, version: str
) -> None:
    owner = await here.person("owner")
    lobby = await owner.create_room(unique("lobby"), version=version, private=False)
    room = await owner.create_room(unique("room"), version=version)
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": lobby}]}
    await owner.set_state(room, "m.room.join_rules", rule)
    with pytest.raises(ServerRefused) as refused:
        await ours.join(room, pair.here.server_name)
    assert refused.value.status == 403
    await ours.join(lobby, pair.here.server_name)
    await ours.join(room, pair.here.server_name)
    membership = await owner.state(room, "m.room.member", ours.user) or {}
    assert (membership["membership"], membership[VOUCHED]) == ("join", owner.user)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_invited_room_is_joined_after_the_invitation(
    pair: Pair, here: Stage, ours: OurServer, version: str
) -> None:
    owner = await here.person("owner")
    room = await owner.create_room(unique("room"), version=version)
    with pytest.raises(ServerRefused) as refused:
        await ours.join(room, pair.here.server_name)
    assert refused.value.status == 403
    await owner.invite(room, ours.user)
    pdu, origin = await ours.invitations.get()
    assert (pdu.room, pdu.sender, origin) == (room, owner.user, pair.here.server_name)
    await ours.join(room, origin)
    assert (await owner.members(room))[ours.user] == "join"


@pytest.mark.parametrize("version", ("1", *VERSIONS))
async def test_the_state_of_a_room_is_read_as_it_is_now(pair: Pair, here: Stage, ours: OurServer, version: str) -> None:
    owner = await here.person("owner")
    room = await owner.create_room(unique("room"), version=version, private=False)
    await ours.join(room, pair.here.server_name)

    async def words() -> list[object]:
        found = await state_now(ours.client, pair.here.server_name, ours.user, room, KEPT)
        return [content.get("words") for content in found]

    await owner.set_state(room, KEPT, {"words": "first"})
    assert await words() == ["first"]  # the last event of all
    await owner.send_text(room, "hello")
    assert await words() == ["first"]
    await owner.set_state(room, KEPT, {})
    assert await words() == [None]
    await ours.leave(room, pair.here.server_name)
    with pytest.raises(ServerRefused) as refused:
        await words()
    assert refused.value.status == 403


async def test_an_invitation_is_refused_or_turned_down(pair: Pair, here: Stage, ours: OurServer) -> None:
    owner = await here.person("owner")
    room = await here.room(owner)
    ours.takes_invitations = False
    with pytest.raises(Exception, match="403"):
        await owner.invite(room, ours.user)
    assert ours.user not in await owner.members(room)
    ours.takes_invitations = True
    await owner.invite(room, ours.user)
    await ours.leave(room, pair.here.server_name)
    assert (await owner.members(room))[ours.user] == "leave"


async def test_a_room_is_joined_through_the_server_that_answers(pair: Pair, here: Stage, ours: OurServer) -> None:
    owner = await here.person("owner")
    room = await owner.create_room(unique("room"), private=False)
    gone = "localhost:1"
    joined = await ours.join(room, gone, pair.there.server_name, pair.here.server_name)
    assert joined.through == pair.here.server_name


async def test_somebody_who_is_banned_cannot_join(pair: Pair, here: Stage, ours: OurServer) -> None:
    owner = await here.person("owner")
    room = await owner.create_room(unique("room"), private=False)
    await owner.ban(room, ours.user)
    with pytest.raises(ServerRefused) as refused:
        await ours.join(room, pair.here.server_name)
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")
    with pytest.raises(ServerRefused) as refused:
        await ours.join(RoomId("!nowhere:" + pair.here.server_name), pair.here.server_name)
    assert refused.value.status == 404


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_room_goes_on_for_people_of_both_homeservers(
    pair: Pair, here: Stage, there: Stage, ours: OurServer, version: str
) -> None:
    owner, guest = await here.person("owner"), await there.person("guest")
    room = await owner.create_room(unique("room"), version=version, private=False)
    await join_through(guest, room, pair.here.server_name)
    await ours.join(room, pair.there.server_name, pair.here.server_name)
    await guest.wait_state(room, "m.room.member", is_joined, key=ours.user)
    # A homeserver drops an event whose server does not tell its key in time, and asks for it again only when a later
    # event rests on it. So people go on to write, as they do.
    said = await guest.send_text(room, "hello")
    await owner.wait_event(room, lambda seen: seen.id == said)
    await owner.wait_state(room, "m.room.member", is_joined, key=ours.user)
    answered = await owner.send_text(room, "hello back")
    await guest.wait_event(room, lambda seen: seen.id == answered)
    told: set[str] = set()
    async with asyncio.timeout(DEADLINE_S):
        while told != {pair.here.server_name, pair.there.server_name}:
            told.add(await ours.transactions.get())
