"""Redactions, hashes, ids and signatures of events are those of Synapse, in each room version."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from bot.crypto.encoding import b64
from bot.federation.errors import MalformedPdu, UnknownRoomVersion
from bot.federation.pdu import MOST_BYTES, Pdu, content_hash, hashed_and_signed, with_signature_of
from bot.federation.redaction import redacted
from bot.federation.room_versions import ROOM_VERSIONS, room_version
from tests.examples import tried
from tests.unit.bot.federation.events import KEY, KEY_ID, SERVER, TYPES, VERSIONS, event, events
from tests.unit.bot.federation.oracle import Oracle

UNHASHED = {"age_ts", "outlier", "destinations"}  # Synapse's own, which it never hashes; the specification does


def made(version: str, **changed: Any) -> dict[str, Any]:
    """Return an event that our key has signed."""
    return hashed_and_signed(event(version, **changed), room_version(version), SERVER, KEY_ID, KEY)


def no_unsigned(value: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != "unsigned"}


@given(drawn=events())
@settings(max_examples=tried(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_event_is_redacted_hashed_named_and_signed_as_synapse_does_it(
    oracle: Oracle, drawn: tuple[str, dict[str, Any]]
) -> None:
    name, each = drawn
    version, said = room_version(name), oracle.ask(name, each)
    assert "failed" not in said
    assert redacted(each, version) == no_unsigned(said["redacted"])
    pdu = Pdu.of(each, version)
    assert (pdu.event_id, pdu.reference_hash) == (said["event_id"], said["reference"])
    if not UNHASHED & each.keys():
        assert b64(content_hash(each)) == said["content"]
        ours = hashed_and_signed(each, version, SERVER, KEY_ID, KEY)
        assert ours == no_unsigned(said["signed"])
        assert Pdu.of(ours, version).has_its_content


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_every_version_is_redacted_as_synapse_does_it(oracle: Oracle, version: str, kind: str) -> None:
    """Each property that any version keeps is there, so that each entry of the table is compared."""
    content: dict[str, Any] = {
        path[0]: {path[1]: 1, "other": 2} if len(path) > 1 else index
        for known in ROOM_VERSIONS.values()
        for paths in known.kept_content.values()
        for index, path in enumerate(paths)
        if path
    }
    changed: dict[str, Any] = {"origin": "o", "membership": "join", "prev_state": [], "new": 1, "unsigned": {"a": 1}}
    if version == "12" and kind == "m.room.create":
        changed |= {"room_id": None, "state_key": ""}
    each = event(version, type=kind, content={**content, "body": "b"}, **changed)
    assert redacted(each, room_version(version)) == no_unsigned(oracle.ask(version, each)["redacted"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_signature_is_that_of_the_essence_and_says_nothing_of_a_changed_text(version: str) -> None:
    rules = room_version(version)
    signed = made(version)
    assert Pdu.of(signed, rules).is_signed(SERVER, KEY_ID, KEY.public)
    assert Pdu.of(signed, rules).has_its_content
    changed = Pdu.of({**signed, "content": {"body": "something else"}}, rules)
    assert changed.is_signed(SERVER, KEY_ID, KEY.public)
    assert changed.event_id == Pdu.of(signed, rules).event_id
    assert not changed.has_its_content
    for name, value in (("depth", 8), ("sender", "@other:domain"), ("room_id", "!other:domain"), ("type", "t")):
        assert not Pdu.of({**signed, name: value}, rules).is_signed(SERVER, KEY_ID, KEY.public)


def test_another_signature_is_added_and_none_is_lost() -> None:
    pdu = Pdu.of(made("12"), room_version("12"))
    more = with_signature_of(pdu, "policy.domain", "ed25519:policy_server", KEY)
    assert more["signatures"] == {
        **pdu.event["signatures"],
        "policy.domain": {"ed25519:policy_server": pdu.signature(KEY)},
    }
    assert with_signature_of(pdu, SERVER, "ed25519:2", KEY)["signatures"][SERVER].keys() == {KEY_ID, "ed25519:2"}


@pytest.mark.parametrize(
    ("server", "key_id", "signature"),
    [
        (SERVER, KEY_ID, "not base64!"),
        (SERVER, KEY_ID, ""),
        (SERVER, KEY_ID, "A" * 86),
        (SERVER, "curve25519:1", None),
        ("other", KEY_ID, None),
    ],
)
def test_what_does_not_verify_is_no_signature(server: str, key_id: str, signature: str | None) -> None:
    signed = made("11")
    right = signed["signatures"][SERVER][KEY_ID]
    signed["signatures"] = {server: {key_id: right if signature is None else signature}}
    assert not Pdu.of(signed, room_version("11")).is_signed(SERVER, KEY_ID, KEY.public)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "changed",
    [
        {"sender": None},
        {"sender": "nobody"},
        {"sender": ["@u:domain"]},
        {"sender": f"@{'u' * 250}:domain"},
        {"type": None},
        {"type": ["m.room.message"]},
        {"type": "t" * 256},
        {"type": "\ud800"},
        {"state_key": 5},
        {"state_key": "界" * 86},
        {"room_id": None},
        {"room_id": "$room"},
        {"content": None},
        {"content": []},
        {"content": {"a": 1.5}},
        {"content": {"a": {"b": [float("nan")]}}},
        {"content": {"a": 2**53}},
        {"content": {"a": "\ud800"}},
        {"content": {"body": "x" * MOST_BYTES}},
        {"origin_server_ts": "now"},
        {"origin_server_ts": True},
        {"depth": None},
        {"depth": -1},
        {"depth": 2**53},
        {"hashes": None},
        {"hashes": "sha256"},
        {"signatures": None},
        {"signatures": {"domain": "ed25519"}},
        {"signatures": {"domain": {"ed25519:1": 5}}},
        {"prev_events": None},
        {"prev_events": "$prev"},
        {"prev_events": [["$prev"]]},
        {"prev_events": [{}]},
        {"prev_events": [["$prev:domain", {}]] * 21},
        {"prev_events": ["$prev"] * 21},
        {"auth_events": ["$auth"] * 11},
        {"auth_events": [["$auth:domain", {}]] * 11},
    ],
    ids=str,
)
def test_what_has_not_the_form_of_its_version_is_no_event(version: str, changed: dict[str, Any]) -> None:
    with pytest.raises(MalformedPdu):
        Pdu.of(event(version, **changed), room_version(version))


def test_an_event_is_nested_no_deeper_than_canonical_json_goes() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}
    with pytest.raises(MalformedPdu):
        Pdu.of(event("11", content=deep), room_version("11"))


@pytest.mark.parametrize("version", VERSIONS)
def test_an_event_brings_its_id_in_the_first_two_versions_only(version: str) -> None:
    given = version in ("1", "2")
    wrong = event(version, event_id=None if given else "$given:domain")
    with pytest.raises(MalformedPdu, match="event_id"):
        Pdu.of(wrong, room_version(version))


def test_two_events_of_the_same_given_id_are_told_apart_by_their_hash() -> None:
    one, other = (Pdu.of(event("2", depth=depth), room_version("2")) for depth in (1, 2))
    assert one.event_id == other.event_id
    assert one.reference_hash != other.reference_hash


def test_the_id_of_a_room_of_version_12_is_that_of_its_first_event() -> None:
    first = event("12", type="m.room.create", state_key="", room_id=None, content={"room_version": "12"})
    pdu = Pdu.of(first, room_version("12"))
    assert pdu.room == "!" + pdu.event_id[1:]
    with pytest.raises(MalformedPdu, match="room_id"):
        Pdu.of({**first, "room_id": pdu.room}, room_version("12"))
    assert Pdu.of(event("11", type="m.room.create"), room_version("11")).room == "!room:domain"


@pytest.mark.parametrize("name", ["", "0", "13", "org.matrix.msc4242.12", "12 ", None, 12, ["12"]])
def test_other_room_versions_are_not_known(name: object) -> None:
    with pytest.raises(UnknownRoomVersion):
        room_version(name)
