"""The keys that the simulated homeserver holds for people's devices: enough for a bot to be content with its own.

Rules kept here: what is uploaded is given again, signatures are added to what they are about; nothing is checked.
Left to others: messages between devices, which this homeserver does not carry.

Specification: Matrix client-server API v1.19, "Key management API", "Cross-signing".
"""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
_CROSS = ("master_key", "self_signing_key", "user_signing_key")


class Keys:
    """Everybody's keys."""

    def __init__(self) -> None:
        self._devices: dict[str, dict[str, Json]] = {}
        self._cross: dict[str, dict[str, Json]] = {}
        self._counts: dict[tuple[str, str], dict[str, int]] = {}

    def upload(self, user: str, device: str, body: Mapping[str, Any]) -> Json:
        """Section "POST /keys/upload"."""
        if keys := body.get("device_keys"):
            self._devices.setdefault(user, {})[device] = dict(keys)
        counts = self._counts.setdefault((user, device), {"signed_curve25519": 0})
        for name in body.get("one_time_keys", {}):
            algorithm = name.partition(":")[0]
            counts[algorithm] = counts.get(algorithm, 0) + 1
        return {"one_time_key_counts": dict(counts)}

    def of_sync(self, user: str, device: str) -> Json:
        """The parts of `/sync` that tell a device how its keys stand."""
        counts = self._counts.get((user, device), {"signed_curve25519": 0})
        return {
            "device_one_time_keys_count": dict(counts),
            "device_unused_fallback_key_types": ["signed_curve25519"] if (user, device) in self._counts else [],
        }

    def query(self, body: Mapping[str, Any]) -> Json:
        """Section "POST /keys/query"."""
        users = list(body.get("device_keys", {}))
        answer: Json = {"device_keys": {user: self._devices.get(user, {}) for user in users}, "failures": {}}
        for name in _CROSS:
            answer[f"{name}s"] = {u: keys[name] for u in users if name in (keys := self._cross.get(u, {}))}
        return answer

    def sign_in(self, user: str, body: Mapping[str, Any]) -> Json:
        """Section "POST /keys/device_signing/upload"."""
        self._cross.setdefault(user, {}).update({name: dict(body[name]) for name in _CROSS if name in body})
        return {}

    def add_signatures(self, body: Mapping[str, Any]) -> Json:
        """Section "POST /keys/signatures/upload"."""
        for user, objects in body.items():
            for name, signed in objects.items():
                for theirs in self._about(user, name):
                    for signer, signatures in signed.get("signatures", {}).items():
                        theirs.setdefault("signatures", {}).setdefault(signer, {}).update(signatures)
        return {"failures": {}}

    def _about(self, user: str, name: str) -> list[Json]:
        if name in self._devices.get(user, {}):
            return [self._devices[user][name]]
        return [key for key in self._cross.get(user, {}).values() if f"ed25519:{name}" in key.get("keys", {})]
