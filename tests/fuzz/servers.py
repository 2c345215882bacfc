"""Fuzzing targets of the federation: events of other servers, who asks, their keys and names, what they propose."""

import asyncio
from typing import Any

from hypothesis import strategies as st

from bot.crypto.encoding import unb64
from bot.crypto.signing import SigningKey
from bot.federation.client import FEDERATION_V2, ServerIdentity
from bot.federation.errors import MalformedPdu, ServerUnreachable, Unauthorized, UnknownRoomVersion
from bot.federation.join import FederatedMember
from bot.federation.pdu import MOST_BYTES, Pdu
from bot.federation.redaction import redacted
from bot.federation.room_versions import ROOM_VERSIONS
from bot.federation.server_keys import ServerKey, keys_in
from bot.federation.server_names import is_server_name, parse_server_name
from bot.federation.strict_json import canonical_or_malformed, parse_strictly
from bot.federation.x_matrix import origin_of, parse_authorization
from moderation.values.ids import RoomId, UserId
from tests.fuzz import events
from tests.fuzz.keys import nearly
from tests.fuzz.target import Target
from tests.fuzz.vocabulary import ids, texts

NOW = 1_795_511_540_900
KEY = SigningKey(unb64("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", 32))
SERVER, KEY_ID, OURS, ROOM = "example.org", "ed25519:1", "policy.example", RoomId("!room:example.org")
USER = UserId(f"@policy:{OURS}")
PUBLISHED = KEY.signed(
    {
        "server_name": SERVER,
        "valid_until_ts": NOW + 1,
        "verify_keys": {KEY_ID: {"key": KEY.public}},
        "old_verify_keys": {},
    },
    SERVER,
    "1",
)


def check_pdu(body: bytes) -> None:
    """Check that a body is an event with one reading in its room version, or none, and that nobody has signed it."""
    try:
        event = parse_strictly(body, 2 * MOST_BYTES)
    except MalformedPdu:
        return
    for version in ROOM_VERSIONS.values():
        try:
            pdu = Pdu.of(event, version)
        except MalformedPdu:
            continue
        again = Pdu.of(parse_strictly(canonical_or_malformed(event), MOST_BYTES), version)
        assert again == pdu
        assert len(pdu.event_id.encode()) <= 255
        essence = parse_strictly(pdu.essence, MOST_BYTES)
        assert essence == {name: each for name, each in redacted(event, version).items() if name != "signatures"}
        assert not any(pdu.is_signed(server, key_id, KEY.public) for server in (SERVER, "") for key_id in (KEY_ID, ""))


class _NoKeys:
    async def for_request(self, server: str, key_id: str) -> str | None:
        assert is_server_name(server)
        assert key_id.startswith("ed25519:")
        return KEY.public


def check_authorization(header: str) -> None:
    """Check that a header that we did not sign proves nothing, and that what is read of it names a server."""
    try:
        found = parse_authorization(header)
    except Unauthorized:
        return
    assert is_server_name(found.origin)
    try:
        asyncio.run(origin_of([header], "POST", "/", {}, ours=found.destination, keys=_NoKeys()))
    except Unauthorized:
        return
    raise AssertionError("a request that nobody signed has an origin")


def check_keys(body: bytes) -> None:
    """Check that no list of keys counts but the one that the key has signed."""
    try:
        found = keys_in(body, SERVER, NOW)
    except MalformedPdu:
        return
    assert found == {KEY_ID: ServerKey(KEY.public, NOW + 1)}


def check_name(text: str) -> None:
    """Check that a name of a server can break out of neither an address nor a header."""
    parts = parse_server_name(text)
    if parts is None:
        return
    assert text.isascii() and not set(text) & set(" /\\@?#%\"',;\r\n\t\x00")
    assert parts.port is None or 0 < parts.port < 65_536


class _Proposes:
    """A server with a template, which must not be asked to take what is not ours."""

    def __init__(self, template: Any) -> None:
        self._template = template

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self._template if isinstance(self._template, dict) else {}

    async def put(self, server: str, base: str, segments: Any, content: Any, *_: Any, **__: Any) -> dict[str, Any]:
        assert (server, base, *segments[:2]) == (SERVER, FEDERATION_V2, "send_join", ROOM)
        assert (content["type"], content["sender"], content["state_key"]) == ("m.room.member", USER, USER)
        assert content["content"]["membership"] == "join"
        assert content["content"].keys() <= {"membership", "join_authorised_via_users_server"}
        assert content["origin_server_ts"] == NOW
        return {}


def check_template(template: Any) -> None:
    """Check that whatever a server proposes, only a join of our own user is signed."""
    member = FederatedMember(USER, ServerIdentity(OURS, KEY_ID, KEY), _Proposes(template))
    try:
        asyncio.run(member.join(ROOM, [SERVER], NOW))
    except (ServerUnreachable, UnknownRoomVersion):
        return
    raise AssertionError("a room without a first event was joined")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_references: st.SearchStrategy[Any] = st.lists(ids, max_size=3) | st.lists(st.tuples(ids, st.just({})), max_size=3)
_RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["m.room.message", *events.STATE]),
    "room_id": st.just(ROOM),
    "sender": st.sampled_from(events.PEOPLE),
    "content": st.dictionaries(events.keys, events.anything, max_size=3),
    "origin_server_ts": st.integers(0, NOW),
    "depth": st.integers(0, 9),
    "hashes": st.just({"sha256": "x"}),
    "signatures": st.just({SERVER: {KEY_ID: "A" * 86}}),
    "prev_events": st.just(["$a"]),
    "auth_events": st.just([]),
}
_OLD = {**_RIGHT, "event_id": st.just("$a:example.org"), "prev_events": st.just([["$a:example.org", {}]])}
_pdus = nearly(**_RIGHT) | nearly(**_OLD) | nearly(**{**_RIGHT, "prev_events": _references, "state_key": ids})
_PARAMETERS = ('origin="example.org"', 'destination="policy.example"', f'key="{KEY_ID}"', f'sig="{"A" * 86}"')
_parts = st.sampled_from(("X-Matrix", " ", *_PARAMETERS, ",", '"', "\\", "=", "origin=a.example", "\t", "key=", "é"))
_right = st.permutations(_PARAMETERS).map(lambda parts: f"X-Matrix {','.join(parts)}")
_headers = st.lists(_parts, max_size=12).map("".join) | _right
_keys = st.just(PUBLISHED) | st.dictionaries(st.sampled_from(sorted(PUBLISHED)), events.anything, max_size=2).map(
    lambda changed: {**PUBLISHED, **changed}
)
_template = nearly(
    type=st.just("m.room.member"),
    room_id=st.just(ROOM),
    sender=st.just(USER),
    state_key=st.just(USER),
    content=st.just({"membership": "join"}) | events.anything,
    depth=st.integers(0, 9),
    prev_events=_references,
    auth_events=_references,
)
_templates = st.fixed_dictionaries(
    {"room_version": st.sampled_from([*ROOM_VERSIONS, "13"]) | events.anything, "event": _template | events.anything}
)

SERVER_TARGETS = (
    Target("pdu", _pdus.map(events.dumped) | st.binary(max_size=60), check_pdu, bytes, bytes),
    Target("authorization", _headers | texts, check_authorization, _text, _bytes),
    Target("server-keys", _keys.map(events.dumped) | st.binary(max_size=60), check_keys, bytes, bytes),
    Target("server-name", st.from_regex(r"[a-z0-9.:\[\]@/%-]{1,20}") | texts, check_name, _text, _bytes),
    Target("template", _templates, check_template, events.loaded, events.dumped),
)
