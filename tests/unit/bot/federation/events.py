"""Events as servers exchange them: one of each room version, and the strategies for any."""

from typing import Any

from hypothesis import strategies as st

from bot.crypto.encoding import unb64
from bot.crypto.signing import SigningKey

SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"  # appendices, "Cryptographic Test Vectors"
KEY = SigningKey(unb64(SEED, 32))
SERVER, KEY_ID = "domain", "ed25519:1"
VERSIONS = tuple(str(number) for number in range(1, 13))
TYPES = [
    "m.room.message",
    "m.room.member",
    "m.room.create",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.aliases",
    "m.room.history_visibility",
    "m.room.redaction",
    "m.room.policy",
    "m.reaction",
]
_NAMES = [
    "membership",
    "creator",
    "join_rule",
    "allow",
    "ban",
    "events",
    "events_default",
    "kick",
    "redact",
    "invite",
    "state_default",
    "users",
    "users_default",
    "aliases",
    "history_visibility",
    "redacts",
    "join_authorised_via_users_server",
    "third_party_invite",
    "signed",
    "room_version",
    "body",
]
_TOP = ["membership", "origin", "prev_state", "redacts", "unsigned", "age_ts", "outlier", "destinations"]

_scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=4), inner),
    max_leaves=8,
)
_contents = st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=4), _json, max_size=8)


def event(version: str, **changed: Any) -> dict[str, Any]:
    """Return a message of a room version; a value of None takes a property away."""
    old = version in ("1", "2")
    made: dict[str, Any] = {
        "type": "m.room.message",
        "room_id": "!room" if version == "12" else "!room:domain",
        "sender": "@u:domain",
        "content": {"msgtype": "m.text", "body": "hello"},
        "origin_server_ts": 1_000_000,
        "depth": 7,
        "prev_events": [["$prev:domain", {"sha256": "x"}]] if old else ["$prev"],
        "auth_events": [["$auth:domain", {"sha256": "x"}]] if old else ["$auth"],
        "hashes": {"sha256": "ZGVmYXVsdA"},
        "signatures": {},
        **({"event_id": "$given:domain"} if old else {}),
    }
    return {name: value for name, value in {**made, **changed}.items() if value is not None}


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a room version and an event of it, with properties that redactions treat in several ways."""
    version = draw(st.sampled_from(VERSIONS))
    kind = draw(st.sampled_from(TYPES))
    changed: dict[str, Any] = {"type": kind, "content": draw(_contents)}
    if draw(st.booleans()):
        changed["state_key"] = draw(st.sampled_from(["", "@u:domain", "key"]))
    for name in draw(st.sets(st.sampled_from(_TOP), max_size=4)):
        changed[name] = draw(_contents) if name == "unsigned" else draw(_json)
    if version == "12" and kind == "m.room.create":
        changed |= {"room_id": None, "state_key": "", "prev_events": [], "auth_events": []}
    return version, event(version, **changed)
