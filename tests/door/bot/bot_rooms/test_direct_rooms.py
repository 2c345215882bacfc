"""One direct room for each person, however many need it at the same moment."""

import asyncio
from pathlib import Path

from bot.bot_rooms.direct_rooms import DirectRooms
from bot.crypto.encrypting_client import SealedHomeserver
from bot.matrix.client import Session
from moderation.values.ids import UserId
from tests.door.bot.effects.test_anchor_day import deployment
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
