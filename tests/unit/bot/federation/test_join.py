"""Joining and leaving: what we sign is ours, and what another server proposes is checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bot.federation.client import FEDERATION_V1, FEDERATION_V2, ServerIdentity
from bot.federation.errors import ServerRefused, ServerUnreachable, UnknownRoomVersion
from bot.federation.join import VOUCHED, FederatedMember
from bot.federation.pdu import Pdu
from bot.federation.room_versions import ROOM_VERSIONS, room_version
from moderation.values.ids import RoomId, UserId
from tests.unit.bot.federation.events import KEY, KEY_ID, VERSIONS, event

US = ServerIdentity("policy.example.org", KEY_ID, KEY)
USER = UserId("@policy:policy.example.org")
A, B = "a.example.org", "b.example.org"
NOW = 1_800_000_000_000
DENIED = ServerRefused(403, "M_FORBIDDEN", "not invited")


def first_event(version: str) -> dict[str, Any]:
    changed: dict[str, Any] = {"room_id": None} if version == "12" else {}
    content = {"room_version": version} if version != "1" else {}
    return event(
        version, type="m.room.create", state_key="", prev_events=[], auth_events=[], content=content, **changed
    )


def room_of(version: str) -> RoomId:
    return Pdu.of(first_event(version), room_version(version)).room


def template(version: str, membership: str = "join", **changed: Any) -> dict[str, Any]:
    """Return what a server proposes, with things in it that are none of its business."""
    made = event(
        version,
        type="m.room.member",
        room_id=room_of(version),
        sender=USER,
        state_key=USER,
        content={"membership": membership, "displayname": "Somebody", "org.example": 1},
    )
    return {**made, "origin": A, "unsigned": {"a": 1}, "redacts": "$x", **changed}


class Servers:
    """Other servers that know one room."""

    def __init__(self, version: str = "11") -> None:
        self.made: dict[str, Any] = {"room_version": version, "event": template(version)}
        self.joined: dict[str, Any] = {"state": [first_event(version)], "auth_chain": []}
        self.refusals: Mapping[str, Exception] = {}
        self.asked: list[tuple[str, str]] = []
        self.sent: Mapping[str, Any] = {}
        self.offered: tuple[str, ...] = ()

    async def get(
        self, server: str, base: str, segments: Sequence[str], query: Sequence[tuple[str, str]] = (), **_: Any
    ) -> dict[str, Any]:
        assert base == FEDERATION_V1
        self.asked.append((server, segments[0]))
        self.offered = tuple(value for name, value in query if name == "ver")
        if server in self.refusals:
            raise self.refusals[server]
        return self.made

    async def put(
        self, server: str, base: str, segments: Sequence[str], content: Mapping[str, Any], *_: Any, **__: Any
    ) -> dict[str, Any]:
        assert base == FEDERATION_V2
        self.asked.append((server, segments[0]))
        self.sent = content
        return self.joined

    @property
    def member(self) -> FederatedMember:
        return FederatedMember(USER, US, self, display_name="Rules")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_room_is_joined_by_an_event_of_ours_in_each_version(version: str) -> None:
    servers, rules = Servers(version), room_version(version)
    joined = await servers.member.join(room_of(version), [A], NOW)
    pdu = Pdu.of(servers.sent, rules)
    assert (joined.room, joined.version, joined.event_id, joined.through) == (pdu.room, rules, pdu.event_id, A)
    assert servers.offered == tuple(ROOM_VERSIONS)
    assert pdu.has_its_content
    assert pdu.is_signed(US.server, KEY_ID, KEY.public)
    assert pdu.event["content"] == {"membership": "join", "displayname": "Rules"}
    assert (pdu.sender, pdu.state_key, pdu.sent_ms) == (USER, USER, NOW)
    foreign = {"origin", "unsigned", "redacts"}
    assert not foreign & pdu.event.keys()
    assert {pdu.event[name] == servers.made["event"][name] for name in ("depth", "prev_events", "auth_events")} == {
        True
    }
    if rules.event_ids == "given":
        assert pdu.event_id != "$given:domain"
        assert pdu.event_id.endswith(f":{US.server}")


async def test_the_next_server_is_tried_and_the_last_refusal_told() -> None:
    servers = Servers()
    servers.refusals = {A: ServerUnreachable("down")}
    assert (await servers.member.join(room_of("11"), [US.server, A, A, B], NOW)).through == B
    assert servers.asked == [(A, "make_join"), (B, "make_join"), (B, "send_join")]
    for refusals in ({A: ServerUnreachable("down"), B: DENIED}, {A: DENIED, B: ServerUnreachable("down")}):
        servers.refusals = refusals
        with pytest.raises(ServerRefused, match="not invited"):
            await servers.member.join(room_of("11"), [A, B], NOW)
    with pytest.raises(ServerUnreachable):
        await servers.member.join(room_of("11"), [US.server], NOW)


async def test_a_version_that_we_do_not_know_is_said_and_never_signed() -> None:
    servers = Servers()
    servers.refusals = {A: ServerRefused(400, "M_INCOMPATIBLE_ROOM_VERSION", "version 13")}
    with pytest.raises(UnknownRoomVersion):
        await servers.member.join(room_of("11"), [A], NOW)
    servers = Servers()
    servers.made["room_version"] = "13"
    with pytest.raises(ServerUnreachable):
        await servers.member.join(room_of("11"), [A], NOW)
    assert servers.sent == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "m.room.message"},
        {"room_id": "!other:domain"},
        {"sender": "@other:policy.example.org"},
        {"state_key": "@other:policy.example.org"},
        {"state_key": None},
        {"content": {"membership": "ban"}},
        {"content": {}},
        {"content": None},
        {"depth": "7"},
        {"prev_events": [["$a", {}]]},
        {"auth_events": ["$a"] * 11},
        {"content": {"membership": "join", VOUCHED: f"@mod:{B}"}},
        {"content": {"membership": "join", VOUCHED: ["@mod"]}},
    ],
    ids=str,
)
async def test_a_template_that_is_not_of_our_join_is_not_signed(changed: dict[str, Any]) -> None:
    servers = Servers()
    servers.made["event"] = template("11", **changed)
    with pytest.raises(ServerUnreachable):
        await servers.member.join(room_of("11"), [A], NOW)
    assert servers.sent == {}


@pytest.mark.parametrize("made", [{}, {"event": []}, {"room_version": "11"}, {"room_version": 11, "event": {}}])
async def test_no_template_is_none(made: dict[str, Any]) -> None:
    servers = Servers()
    servers.made = made
    with pytest.raises(ServerUnreachable):
        await servers.member.join(room_of("11"), [A], NOW)


async def test_in_a_restricted_room_somebody_of_that_server_vouches_for_us() -> None:
    servers = Servers()
    content = {"membership": "join", VOUCHED: f"@mod:{A}"}
    servers.made["event"] = template("11", content=content)
    await servers.member.join(room_of("11"), [A], NOW)
    assert servers.sent["content"] == {**content, "displayname": "Rules"}


async def test_nobody_vouches_in_a_version_without_restricted_rooms() -> None:
    servers = Servers("7")
    servers.made["event"] = template("7", content={"membership": "join", VOUCHED: f"@mod:{A}"})
    with pytest.raises(ServerUnreachable):
        await servers.member.join(room_of("7"), [A], NOW)


@pytest.mark.parametrize(
    "state",
    [
        None,
        5,
        [],
        ["text"],
        [first_event("10")],
        [first_event("11"), first_event("11")],
        [{**first_event("11"), "room_id": "!other:domain"}],
        [{**first_event("11"), "state_key": "x"}],
    ],
    ids=range(8),
)
async def test_a_room_without_the_right_first_event_was_not_joined(state: Any) -> None:
    servers = Servers()
    servers.joined = {"state": state}
    with pytest.raises(ServerUnreachable):
        await servers.member.join(room_of("11"), [A], NOW)


async def test_the_first_event_of_version_12_proves_the_room() -> None:
    servers = Servers("12")
    servers.joined = {"state": [{**first_event("12"), "depth": 8}]}
    with pytest.raises(ServerUnreachable):
        await servers.member.join(room_of("12"), [A], NOW)


async def test_a_room_is_left_by_an_event_of_ours() -> None:
    servers = Servers("12")
    servers.made["event"] = template("12", "leave")
    servers.refusals = {A: DENIED}
    event_id = await servers.member.leave(room_of("12"), [A, B], NOW)
    assert servers.asked == [(A, "make_leave"), (B, "make_leave"), (B, "send_leave")]
    pdu = Pdu.of(servers.sent, room_version("12"))
    assert (pdu.event_id, pdu.event["content"]) == (event_id, {"membership": "leave"})
    servers.made["event"] = template("12", "join")
    with pytest.raises(ServerUnreachable):
        await servers.member.leave(room_of("12"), [B], NOW)
