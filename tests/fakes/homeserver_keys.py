"""The keys that the simulated homeserver holds for people's devices.

Rules kept here:
- Uploaded keys are returned unchanged: a one-time key to the first who claims it and to nobody else, a fallback key if
  there is no one-time key left.
- Signatures are added to the keys they sign; nothing is checked.
Left to others: messages between devices, and who is told of a change (`homeserver_devices.py`).

Specification: Matrix client-server API v1.19, "Key management API", "Cross-signing".
"""

from collections.abc import Mapping
from typing import Any

from tests.fakes.homeserver_rooms import Json, Refused

_CROSS = ("master_key", "self_signing_key", "user_signing_key")


class Keys:
    """Everybody's keys."""

    def __init__(self) -> None:
        self._devices: dict[str, dict[str, Json]] = {}
        self._cross: dict[str, dict[str, Json]] = {}
        self._one_time: dict[tuple[str, str], dict[str, Json]] = {}
        self._fallback: dict[tuple[str, str], dict[str, Json]] = {}
        self._used: set[tuple[str, str]] = set()  # whose fallback key was given to somebody

    def upload(self, user: str, device: str, body: Mapping[str, Any]) -> Json:
        """Store uploaded keys (section "POST /keys/upload")."""
        if keys := body.get("device_keys"):
            self._devices.setdefault(user, {})[device] = dict(keys)
        there = self._one_time.setdefault((user, device), {})
        for name, key in body.get("one_time_keys", {}).items():
            if there.setdefault(name, key) != key:
                raise Refused(400, "M_INVALID_PARAM", f"One time key {name} already exists.")
        if fallback := body.get("fallback_keys"):
            self._fallback[user, device] = dict(fallback)
            self._used.discard((user, device))
        return {"one_time_key_counts": self._counts(user, device)}

    def _counts(self, user: str, device: str) -> dict[str, int]:
        names = [name.partition(":")[0] for name in self._one_time.get((user, device), {})]
        return {"signed_curve25519": 0} | {name: names.count(name) for name in names}

    def claim(self, body: Mapping[str, Any]) -> Json:
        """Hand out one key of each device (section "POST /keys/claim")."""
        found: Json = {}
        for user, devices in body["one_time_keys"].items():
            for device, algorithm in devices.items():
                if key := self._claimed(user, device, algorithm):
                    found.setdefault(user, {})[device] = key
        return {"one_time_keys": found, "failures": {}}

    def _claimed(self, user: str, device: str, algorithm: str) -> Json:
        keys = self._one_time.get((user, device), {})
        if name := next((name for name in keys if name.startswith(f"{algorithm}:")), None):
            return {name: keys.pop(name)}
        fallback = self._fallback.get((user, device), {})
        if fallback:
            self._used.add((user, device))
        return dict(fallback)

    def of_sync(self, user: str, device: str) -> Json:
        """Return the parts of `/sync` about the keys of a device."""
        unused = (user, device) in self._fallback and (user, device) not in self._used
        return {
            "device_one_time_keys_count": self._counts(user, device),
            "device_unused_fallback_key_types": ["signed_curve25519"] if unused else [],
        }

    def query(self, body: Mapping[str, Any]) -> Json:
        """Return the keys of users (section "POST /keys/query")."""
        users = list(body.get("device_keys", {}))
        answer: Json = {"device_keys": {user: self._devices.get(user, {}) for user in users}, "failures": {}}
        for name in _CROSS:
            answer[f"{name}s"] = {u: keys[name] for u in users if name in (keys := self._cross.get(u, {}))}
        return answer

    def sign_in(self, user: str, body: Mapping[str, Any]) -> Json:
        """Store cross-signing keys (section "POST /keys/device_signing/upload")."""
        self._cross.setdefault(user, {}).update({name: dict(body[name]) for name in _CROSS if name in body})
        return {}

    def add_signatures(self, body: Mapping[str, Any]) -> Json:
        """Add signatures to keys (section "POST /keys/signatures/upload")."""
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
