"""The last finding about the homeserver's rate limit of the bot, kept in a small file of the data directory.

Rules kept here:
- It is written when something was found out, and replaced as a whole.
- A file that cannot be read says nothing.

Left to others: finding out (`rate_limit.py`; the outbox, when it is refused).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from storage.journal import disk

from .rate_limit import Limit

_FILE = "rate-limit.json"


@dataclass(frozen=True, slots=True)
class KnownLimit:
    """The finding, and its time (ms)."""

    limit: Limit
    at: int


def remember_limit(data_dir: Path, limit: Limit, now: int) -> None:
    """Keep what was found out; nothing, if that was nothing."""
    if limit in ("not_admin", "unknown"):
        return
    content = json.dumps({"limit": limit, "at": now}).encode()
    disk.replace_atomically(data_dir / _FILE, content, disk.SECRET_MODE)
    disk.give_to_owner_of(data_dir, data_dir / _FILE)


def known_limit(data_dir: Path) -> KnownLimit | None:
    """Return what was last found out; None if nothing was."""
    try:
        found = json.loads((data_dir / _FILE).read_bytes())
        limit, at = found["limit"], found["at"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return KnownLimit(limit, at) if limit in get_args(Limit) and isinstance(at, int) else None
