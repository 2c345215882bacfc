"""The reasons why the bot does not use nio's client (decision 0004), shown on the nio that is installed.

If a test fails after an update of nio, look at the decision again.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nio import AsyncClient, RoomGetStateEventResponse, SyncResponse

from bot.matrix.http import segment
from moderation.values.errors import Invalid
from tests.fakes.http_stub import Answer, HttpStub

ROOM = "!room:example.org"
EVENT = {
    "event_id": "$1",
    "sender": "@ann:example.org",
    "type": "m.room.message",
    "origin_server_ts": 1,
    "content": {"msgtype": "m.text", "body": "hello"},
}


@pytest.fixture
async def stub() -> AsyncIterator[HttpStub]:
    async with HttpStub() as stub:
        yield stub


@pytest.fixture
async def client(stub: HttpStub) -> AsyncIterator[AsyncClient]:
    client = AsyncClient(stub.url)
    client.restore_login("@bot:example.org", "DEVICE", "token")
    yield client
    await client.close()


@pytest.mark.parametrize(
    ("key", "asked"),
    [("a/b", "state/type/a%2Fb"), ("a%2Fb", "state/type/a%252Fb"), (".", "state/type/"), ("..", "state/")],
)
async def test_every_segment_arrives_as_it_is_but_dots(
    stub: HttpStub, client: AsyncClient, key: str, asked: str
) -> None:
    stub.will(Answer(json={}))
    await client.room_get_state_event(ROOM, "type", key)
    assert [request.path for request in stub.requests] == [f"/_matrix/client/v3/rooms/{ROOM}/{asked}"]


def test_ours_refuses_a_segment_of_dots() -> None:
    with pytest.raises(Invalid):
        segment("..")


async def test_a_refused_state_event_looks_like_its_content(stub: HttpStub, client: AsyncClient) -> None:
    refusal = {"errcode": "M_FORBIDDEN", "error": "no"}
    stub.will(Answer(403, json=refusal))
    answer = await client.room_get_state_event(ROOM, "type")
    assert isinstance(answer, RoomGetStateEventResponse)
    assert answer.content == refusal


async def test_redirects_are_followed(stub: HttpStub, client: AsyncClient) -> None:
    stub.will(Answer(302, headers={"Location": "/elsewhere"}), Answer(json=EVENT))
    await client.room_get_event(ROOM, "$1")
    assert stub.requests[-1].path == "/elsewhere"


def test_one_malformed_event_loses_the_whole_answer() -> None:
    with pytest.raises(TypeError):
        SyncResponse.from_dict(answer(join={ROOM: timeline(EVENT, {**EVENT, "origin_server_ts": "now"})}))


def test_nio_drops_events_it_does_not_know() -> None:
    state = [{"type": "m.room.join_rules", "sender": "@ann:example.org", "state_key": "", "content": {}}]
    parsed = SyncResponse.from_dict(answer(invite={ROOM: {"invite_state": {"events": state}}}, knock={ROOM: {}}))
    assert parsed.rooms.invite[ROOM].invite_state == []
    assert not hasattr(parsed.rooms, "knock")


def answer(**rooms: Any) -> dict[str, Any]:
    return {"next_batch": "s1", "rooms": rooms}


def timeline(*events: dict[str, Any]) -> dict[str, Any]:
    return {"timeline": {"events": list(events), "limited": False, "prev_batch": "s0"}}
