"""The state event by which a room asks the policy server before it delivers messages, and when it must not ask.

Rules kept here:
- Only an event that names our policy server is changed; what names another one is somebody's own choice. It names ours
  by our name, or by our key under a name that it had before.
- Nothing is written where the room says already what it should.
- A policy server that nobody reaches silences the room, so after `when_down` the room stops asking; it asks again once
  the policy server was reached for `BACK_AFTER_MS` without a break.

Left to others: reading and writing the event (`bot/effects/policy_state.py`), reaching the policy server from outside
(`bot/sync/policy_watch.py`), whether a room is to ask (`bot/commands/policy.py`).

Specification: client-server API v1.19, "m.room.policy"; server-server API v1.19, "Policy Servers".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from moderation.values.durations import MS_PER
from moderation.values.events import Json

POLICY_STATE = "m.room.policy"
BACK_AFTER_MS = 10 * MS_PER["m"]


def asking(name: str, key: str) -> dict[str, Json]:
    """Return the content with which a room asks the policy server `name`, whose public key is `key`."""
    return {"via": name, "public_keys": {"ed25519": key}}


def asked_name(content: Mapping[str, Json] | None) -> str:
    """Return the name of the policy server that a room asks; "": none."""
    via = (content or {}).get("via")
    return via if isinstance(via, str) else ""


def is_ours(present: Mapping[str, Json] | None, name: str, key: str) -> bool:
    """Tell whether a room asks our policy server: by its name, or under a former one by its key; "": not known."""
    there = asked_name(present)
    keys = (present or {}).get("public_keys")
    by_key = isinstance(keys, Mapping) and bool(key) and keys.get("ed25519") == key
    return bool(there) and (there == name or by_key)


def to_write(present: Mapping[str, Json] | None, name: str, key: str, *, asks: bool) -> dict[str, Json] | None:
    """Return what is to be written so that a room asks the policy server or not; None: it is so, or is not ours."""
    there = asked_name(present)
    if there and not is_ours(present, name, key):
        return None
    if not asks:
        return {} if there else None
    wanted = asking(name, key)
    return None if present == wanted else wanted


@dataclass(slots=True)
class Reachability:
    """The reachability of the policy server from outside. Times in milliseconds: it was reached, or was not."""

    when_down_ms: int
    last_ms: int  # when it was last reached; at first: when the watch began
    down: bool = False
    heard: bool = field(default=False)  # whether it was reached since the watch began
    _since_ms: int = field(default=0)  # since when it is reached without a break; 0: it is not

    def begin(self, now_ms: int, *, down: bool) -> None:
        """Begin to watch it, as down or not. What was heard of it before counts no more."""
        self.last_ms, self.down, self.heard, self._since_ms = now_ms, down, False, 0

    def note(self, now_ms: int, *, reached: bool) -> None:
        """Note that it was reached at `now_ms`, or was not."""
        if not reached:
            self._since_ms = 0
            self.down = self.down or now_ms - self.last_ms >= self.when_down_ms
            return
        self.last_ms, self.heard = now_ms, True
        self._since_ms = self._since_ms or now_ms
        self.down = self.down and now_ms - self._since_ms < BACK_AFTER_MS
