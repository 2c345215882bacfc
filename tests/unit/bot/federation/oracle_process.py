"""Synapse's answers about an event, one line of JSON each way. A process of its own: Synapse is AGPL, and not imported.

A line of input is `{"version": ..., "event": {...}, "server": ..., "key_id": ..., "seed": ...}`. The answer is the
redacted event, the hashes, the event's id, and the event with hash and signature of the key.
"""

import base64
import hashlib
import importlib
import json
import sys
from typing import Any

versions: Any = importlib.import_module("synapse.api.room_versions")
events: Any = importlib.import_module("synapse.events")
utils: Any = importlib.import_module("synapse.events.utils")
signing: Any = importlib.import_module("synapse.crypto.event_signing")
rust: Any = importlib.import_module("synapse.synapse_rust.events")
keys: Any = importlib.import_module("signedjson.key")


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Ask Synapse."""
    version = versions.KNOWN_ROOM_VERSIONS[asked["version"]]
    event = asked["event"]
    _, algorithm_version = asked["key_id"].split(":", 1)
    key = keys.decode_signing_key_base64("ed25519", algorithm_version, asked["seed"])
    made = events.make_event_from_dict(json.loads(json.dumps(event)), version)
    signed = {name: each for name, each in event.items() if name not in ("hashes", "signatures")}
    signing.add_hashes_and_signatures(version, signed, asked["server"], key)
    return {
        "redacted": rust.redact_event_dict(version, event),
        "pruned": utils.prune_event(made).get_pdu_json(),
        "reference": text(signing.compute_event_reference_hash(made)[1]),
        "content": text(signing.compute_content_hash(event, hashlib.sha256)[1]),
        "event_id": made.event_id,
        "has_its_content": signing.check_event_content_hash(made),
        "signed": signed,
    }


def text(digest: bytes) -> str:
    """Encode as unpadded base64."""
    return base64.b64encode(digest).decode().rstrip("=")


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:
            said = {"failed": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
