"""Notes about who read other people's words at the command line or in the console, left for the bot to record.

While the bot runs, it alone writes the journal. So what shows content first leaves a file
``<data_dir>/spool/access-<random>.json`` with `at_ms`, `by` (user of the operating system) or `user` (a Matrix id),
`reason` and `filters`. The bot makes an `access` record of it and removes the file.

Rules kept here:
- A note is either complete or absent, has mode 0600, and is durable before anything is shown.
- When a command runs as root, the note belongs to the owner of the data directory, so that the bot can remove it.
Left to others: picking the notes up (`bot/admin/spool.py`).
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

import orjson

from moderation.values.events import Json

from . import disk
from .canonical import plain

FOLDER = "spool"
PATTERN = "access-*.json"


def note_access(
    data_dir: Path,
    *,
    at_ms: int,
    by: str,
    reason: str,
    filters: Mapping[str, Json],
    name: str = "",
    user: str = "",
) -> Path:
    """Write a note under a unique name. Raises `OSError` if it cannot be stored; then nothing may be shown."""
    folder = data_dir / FOLDER
    if not folder.exists():
        disk.make_folder(folder, disk.SECRET_FOLDER_MODE)
        disk.give_to_owner_of(data_dir, folder)
    whose: dict[str, Json] = {"user": user} if user else {"by": by}
    note = plain({"at_ms": at_ms, **whose, "reason": reason, "filters": dict(filters)})
    path = folder / f"access-{name or new_name()}.json"
    disk.create_once(path, orjson.dumps(note), disk.SECRET_MODE)
    disk.give_to_owner_of(data_dir, path)
    disk.sync_directory(folder)
    return path


def new_name() -> str:
    """Return a unique name for a note."""
    return secrets.token_hex(8)
