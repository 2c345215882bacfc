"""One direct room for each person, however many need it at the same moment."""

import asyncio
from pathlib import Path

import pytest

from bot.bot_rooms.create import RoomPurpose, body, take_up
from bot.bot_rooms.direct_rooms import DirectRooms
from bot.crypto.encrypting_client import SealedHomeserver
from bot.matrix.client import Session
from moderation.values.ids import RoomId, UserId
from tests.door.bot.effects.test_anchor_day import deployment
from tests.door.offline import ANNA as ANNA_THERE
from tests.door.offline import BOT, ROOM, RULES, offline
from tests.fakes.homeserver import SimulatedHomeserver

NAME, TOPIC, AVATAR = "m.room.name", "m.room.topic", "m.room.avatar"
ANNA, BEN = UserId("@anna:simulated.example.org"), UserId("@ben:simulated.example.org")


async def test_simultaneous_requests_share_one_direct_room(tmp_path: Path) -> None:
    async with SimulatedHomeserver() as server, deployment(tmp_path) as place:
        user, token, device = server.account("answerable")
        homeserver = SealedHomeserver(Session(server.url, UserId(user), device, token))
        rooms = DirectRooms(place.services(homeserver))
        hers = await asyncio.gather(*(rooms.with_(ANNA, "en") for _ in range(3)), rooms.with_(BEN, "en"))
        await homeserver.close()
    assert [room == hers[0] for room in hers] == [True, True, True, False]
    assert server.counts["createRoom"] == 2
    assert {each.membership(ANNA) for each in server.world.rooms.values()} == {"invite", "leave"}


async def test_somebody_who_could_not_be_invited_at_first_is_invited_later(tmp_path: Path) -> None:
    async with SimulatedHomeserver() as server, deployment(tmp_path) as place:
        user, token, device = server.account("answerable")
        homeserver = SealedHomeserver(Session(server.url, UserId(user), device, token))
        purpose = RoomPurpose("direct", user=ANNA)
        room = await homeserver.create_room(body(purpose, name="", topic="", invite=[]))
        await take_up(place.pipeline, purpose, room)
        rooms = DirectRooms(place.services(homeserver))
        assert [await rooms.with_(ANNA, "en") for _ in range(2)] == [room, room]
        await homeserver.close()
    assert server.world.rooms[room].membership(ANNA) == "invite"
    assert server.counts["createRoom"] == 1


async def test_a_direct_room_has_the_name_and_the_picture_of_the_account(tmp_path: Path) -> None:
    async with SimulatedHomeserver() as server, deployment(tmp_path) as place:
        user, token, device = server.account("answerable")
        homeserver = SealedHomeserver(Session(server.url, UserId(user), device, token))
        rooms = DirectRooms(place.services(homeserver))
        hers = server.world.rooms[await rooms.with_(ANNA, "en")]
        server.world.rename(user, "Garden helper")
        server.world.pictures[user] = "mxc://simulated.example.org/picture"
        his = server.world.rooms[await rooms.with_(BEN, "zh")]
        await homeserver.close()
    assert hers.content(NAME) == {"name": "Answerable"}
    assert hers.content(AVATAR) is None
    assert his.content(NAME) == {"name": "Garden helper"}
    assert (his.content(TOPIC) or {})["topic"] == "您与机器人的私聊。"
    assert his.content(AVATAR) == {"url": "mxc://simulated.example.org/picture"}


class Encrypting:
    """A homeserver where the group is encrypted."""

    user = BOT

    def __init__(self) -> None:
        self.asked: list[tuple[str, RoomId]] = []

    async def is_encrypted(self, room: RoomId) -> bool:
        return room == ROOM

    async def encrypt_room(self, room: RoomId) -> None:
        self.asked.append(("encrypt", room))


@pytest.mark.parametrize("membership", ["join", "leave", "ban"])
async def test_a_direct_room_with_somebody_who_is_or_was_in_an_encrypted_group_is_encrypted(
    tmp_path: Path, membership: str
) -> None:
    homeserver = Encrypting()
    async with offline(tmp_path, RULES) as bot:
        direct = await bot.direct(ANNA_THERE)
        await bot.event(BOT, "m.room.member", {"membership": membership}, key=ANNA_THERE)
        assert await DirectRooms(bot.services(homeserver)).with_(ANNA_THERE, "en") == direct
    assert homeserver.asked == [("encrypt", direct)]
