"""Contents of a backup: its files, and a manifest that describes the state they are of.

Rules kept here:
- A name is one of ours, so that nothing of a forged backup can leave the folder it is unpacked in.
- The keys for encrypted rooms are not in it (an older copy of these would be used twice, `docs/encryption.md`), nor is
  the session.
- The policy server's keys and answers are in it: rooms name the one key, and an event has one answer for ever.
- The key that opens what members proved is not in it: it is kept elsewhere so that a copy of the data alone opens
  nothing.

Left to others: copying (`snapshot.py`), the file (`bundle.py`).
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from moderation.values.errors import Invalid
from storage.database.place import FILE as STATE
from storage.journal.record_keys import FILE as IDENTITY
from storage.policy_server import tables as policy_server
from storage.policy_server.spool import EVENT_KEY_FILE, PRIVATE_KEY_FILES

FORMAT = 1
MANIFEST = "backup.json"
RECORDS = "records"
LOG_KEY = "keys/log.key"
SPOOL = "spool"
MEDIA = "media"
CONFIG = "config.toml"
POLICY = policy_server.FOLDER
POLICY_STATE = f"{POLICY}/{policy_server.FILE}"
POLICY_KEYS = tuple(f"{POLICY}/{name}" for name in (*PRIVATE_KEY_FILES, EVENT_KEY_FILE))
FOLDERS = (RECORDS, SPOOL, MEDIA)
MAX_MANIFEST = 1 << 26

_NAME = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:/[A-Za-z0-9_][A-Za-z0-9._-]*){{1,8}}")
_SINGLE = frozenset({STATE, IDENTITY, LOG_KEY, CONFIG, POLICY_STATE, *POLICY_KEYS})


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state that a backup is of. `files`: name -> length and SHA-256 in hexadecimal."""

    made_ms: int
    version: str
    user: str
    origin: str
    records: int
    root: str  # of all records, base64
    waiting: int  # requests that were still to be sent
    next_case: int
    format: int = FORMAT
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the manifest as written in the backup."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def decode(data: bytes) -> Manifest:
    """Read the manifest of a backup. Raises `Invalid` if it is none, or one of a newer version."""
    try:
        said: dict[str, Any] = orjson.loads(data)
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in said.pop("files").items()}
        manifest = Manifest(**said, files=files)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Invalid("its backup.json is not one") from None
    if manifest.format != FORMAT:
        raise Invalid(f"it is of format {manifest.format}, and this version reads {FORMAT}")
    for name in files:
        if not is_ours(name):
            raise Invalid(f"it names a file that no backup has: {name[:80]!r}")
    return manifest


def is_secret_folder(name: str) -> bool:
    """Return whether the folder of this file is for the bot's account alone."""
    return name == LOG_KEY or name.startswith(f"{POLICY}/")


def is_ours(name: str) -> bool:
    """Return whether a backup may hold a file of this name."""
    return name in _SINGLE or _NAME.fullmatch(name) is not None
