"""The input of the crypto machine from a sync, and its output.

Left to others: the source (`bot/events/sync_response.py`), the processing (`machine.py`).

Specification: client-server API v1.19, "Extensions to /sync" of the module "End-to-End Encryption".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .encoding import object_of
from .room_keys import Decrypted, Sealed
from .to_device import ToDevice


@dataclass(frozen=True, slots=True)
class SyncPart:
    """The parts of a `/sync` answer that concern encryption, as received."""

    to_device: tuple[object, ...] = field(default=(), repr=False)
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    counts: object = None
    unused_fallbacks: object = None
    initial: bool = False  # asked without a token: changes before it may have been missed

    @classmethod
    def of(cls, to_device: Sequence[object], encryption: Mapping[str, Any], *, initial: bool = False) -> "SyncPart":
        """Build it from `SyncResponse.to_device` and `SyncResponse.encryption` of bot/events/sync_response.py."""
        lists = object_of(encryption.get("device_lists"))
        return cls(
            tuple(to_device),
            _texts(lists.get("changed")),
            _texts(lists.get("left")),
            encryption.get("device_one_time_keys_count"),
            encryption.get("device_unused_fallback_key_types"),
            initial,
        )


@dataclass(frozen=True, slots=True)
class News:
    """News of a sync: keys (room and session), events that waited for them, and reports of withheld keys."""

    keys: tuple[tuple[str, str], ...] = ()
    ready: tuple["Late", ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()
    verification: tuple[ToDevice, ...] = ()
    unreadable: int = 0  # messages to our device that could not be read


@dataclass(frozen=True, slots=True)
class Late:
    """An event that could not be read when it came, and its result now. It waits until `done`."""

    room: str
    event: str
    result: Decrypted | Sealed


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
