"""The simulated homeserver when it is told to fail, to hold events back, or to report many at once."""

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.fakes.homeserver import Fault, SimulatedHomeserver
from tests.fakes.homeserver_copies import copy_room
from tests.fakes.homeserver_orders import Simulated
from tests.fakes.homeserver_rooms import seed
from tests.people.client import Client, MatrixError


@pytest.fixture
async def server() -> AsyncIterator[SimulatedHomeserver]:
    async with SimulatedHomeserver() as server:
        yield server


async def _person(server: SimulatedHomeserver, name: str = "ann") -> Client:
    user, token, _ = server.account(name)
    return Client(server.url, user, token)


async def test_a_fault_strikes_as_often_as_it_was_told_and_only_there(server: SimulatedHomeserver) -> None:
    async with await _person(server) as ann:
        server.faults = [Fault.limited("rooms/send", times=2, retry_after_ms=70)]
        room = await ann.create_room()
        for number in range(2):
            with pytest.raises(MatrixError) as refused:
                await ann.request("PUT", "rooms", room, "send", "m.room.message", f"t{number}", json={})
            assert (refused.value.status, refused.value.errcode, refused.value.retry_after_ms) == (
                429,
                "M_LIMIT_EXCEEDED",
                70,
            )
        await ann.request("PUT", "rooms", room, "send", "m.room.message", "t2", json={})
    assert server.counts["rooms/send"] == 3


async def test_a_request_whose_answer_is_lost_has_been_done_and_done_once(server: SimulatedHomeserver) -> None:
    async with await _person(server) as ann:
        room = await ann.create_room()
        server.faults = [Fault("rooms/send", cut=True, after=True)]
        send = ("PUT", "rooms", room, "send", "m.room.message", "t")
        with pytest.raises(aiohttp.ClientError):
            # aiohttp itself repeats a PUT only if nothing of an answer has come.
            await ann.request(*send, json={"body": "once"})
        answer = await ann.request(*send, json={"body": "once"})
    said = [event for event in server.world.rooms[room].events if event.raw["type"] == "m.room.message"]
    assert [event.id for event in said] == [answer["event_id"]]


async def test_held_back_events_are_delivered_at_one_instant(server: SimulatedHomeserver) -> None:
    async with await _person(server) as ann:
        room = await ann.create_room()
        since = (await ann.request("GET", "sync", query={"timeout": "0"}))["next_batch"]
        server.hold()
        await ann.request("PUT", "rooms", room, "send", "m.room.message", "t", json={"body": "held"})
        query = {"timeout": "0", "since": since}
        assert "rooms" not in await ann.request("GET", "sync", query=query)
        waiting = asyncio.create_task(ann.request("GET", "sync", query={**query, "timeout": "20000"}))
        server.let_go()
        told = (await waiting)["rooms"]["join"][room]["timeline"]["events"]
        assert [event["content"] for event in told] == [{"body": "held"}]


async def test_answers_of_a_given_size_tell_everything_once_and_in_order(server: SimulatedHomeserver) -> None:
    async with await _person(server) as ann:
        room = await ann.create_room()
        since = (await ann.request("GET", "sync", query={"timeout": "0"}))["next_batch"]
        server.at_most = 7
        said = [server.world.add(server.world.rooms[room], ann.user, "m.room.message", {"n": n}).id for n in range(20)]
        told: list[list[str]] = []
        while rooms := (answer := await ann.request("GET", "sync", query={"timeout": "0", "since": since})).get(
            "rooms"
        ):
            since = answer["next_batch"]
            told.append([event["event_id"] for event in rooms["join"][room]["timeline"]["events"]])
    assert [len(some) for some in told] == [7, 7, 6]
    assert [each for some in told for each in some] == said


async def test_the_process_of_its_own_takes_orders_and_measures_how_long_a_message_stood() -> None:
    async with Simulated.start() as server:
        user, token, _ = await server.order("account", localpart="ann")
        room = await server.order("room", creator=user, members=["@ben:simulated.example.org"], name="A room")
        (said, left) = await server.order(
            "say", events=[(room, "@ben:simulated.example.org", "m.room.message", {"body": t}, None) for t in "ab"]
        )
        async with Client(server.url, user, token) as ann:
            await ann.redact(room, said)
        gone, stands = await server.order("gone", ids=[said, left])
        assert 0 < gone < 60
        assert stands is None
        assert (await server.order("counts"))["rooms/redact"] == 1


async def test_a_copy_of_a_room_is_answered_like_the_room_itself(server: SimulatedHomeserver) -> None:
    users = {name: server.account(name)[0] for name in ("ann", "ben", "cat")}
    async with await _person(server, "dan") as dan:
        first = await dan.create_room()
        world, room = server.world, server.world.rooms[first]
        seed(world, room, [users["ann"]])
        said = world.send(room, users["ann"], "m.room.message", {"body": "tea?"})
        relation = {"m.relates_to": {"m.in_reply_to": {"event_id": said.id}}}
        world.send(room, dan.user, "m.room.message", {"body": "yes", **relation})
        copy, ids = copy_room(world, room, [users["ben"], users["cat"]], [users["ann"]])
        answers = {}
        for id, event in ((first, said.id), (copy.id, ids[said.id])):
            told = (await dan.request("GET", "sync", query={"timeout": "0"}))["rooms"]["join"][id]["timeline"]["events"]
            state = await dan.request("GET", "rooms", id, "state")
            members = (await dan.request("GET", "rooms", id, "members"))["chunk"]
            here = await dan.request("GET", "rooms", id, "event", event)
            answers[id] = [*told, *state, *members, here]
    more = [raw for raw in answers[copy.id] if raw.get("state_key") == users["cat"]]
    assert {raw["content"]["displayname"] for raw in more} == {"cat"}
    text = repr([raw for raw in answers[copy.id] if raw not in more])
    for old, new in {**ids, first: copy.id, users["ann"]: users["ben"], "'ann'": "'ben'"}.items():
        text = text.replace(new, old)
    assert _untimed(text) == _untimed(repr(answers[first]))
    assert len(more) == 3
    assert {room.id: room.joined() for room in world.rooms_of[users["cat"]].values()} == {
        copy.id: [dan.user, users["ben"], users["cat"]]
    }


def _untimed(text: str) -> str:
    return re.sub(r"'origin_server_ts': \d+", "", text)
