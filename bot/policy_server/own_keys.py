"""The two private keys of the policy server: one signs events, the other signs requests to other servers.

Rules kept here:
- They are made at the first start, for the process alone to read (0600), and never replaced.
- They differ: other servers take a signature of the second one for that of a homeserver.
- The id of the second one follows from the key. If the file is lost, the new key has another id, which others ask for.

Left to others: the bot reads the public half of the first one from a file beside it (`storage/policy_server/spool.py`).

Specification: server-server API v1.19, "Policy Servers", "Publishing Keys".
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bot.crypto.encoding import MalformedKey, b64, unb64
from bot.crypto.signing import SigningKey
from moderation.values.errors import Invalid
from storage.journal.disk import create_once, make_folder, replace_atomically, sync_directory
from storage.policy_server.spool import EVENT_KEY_FILE, PRIVATE_KEY_FILES

EVENTS, SERVER = PRIVATE_KEY_FILES
EVENT_KEY_ID = "ed25519:policy_server"  # always this one
_MODE, _FOLDER_MODE = 0o600, 0o700
_SEED = 32


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The keys of one policy server."""

    events: SigningKey
    server: SigningKey

    @property
    def server_key_id(self) -> str:
        """The id of the key that signs requests."""
        return f"ed25519:{hashlib.sha256(self.server.public.encode()).hexdigest()[:8]}"


def load_keys(folder: Path) -> OwnKeys:
    """Return the keys in a folder; make those that are missing. Raises `Invalid` if a file holds no key."""
    make_folder(folder, _FOLDER_MODE)
    keys = OwnKeys(_key(folder / EVENTS), _key(folder / SERVER))
    if keys.events.public == keys.server.public:
        raise Invalid(f"{folder / EVENTS} and {folder / SERVER} hold the same key; remove the second one")
    public = folder / EVENT_KEY_FILE
    if not public.exists() or public.read_text("ascii").strip() != keys.events.public:
        replace_atomically(public, f"{keys.events.public}\n".encode(), _MODE)
    return keys


def _key(path: Path) -> SigningKey:
    if not path.exists():
        create_once(path, f"{b64(SigningKey.new().seed)}\n".encode(), _MODE)
        sync_directory(path.parent)
    try:
        return SigningKey(unb64(path.read_text("ascii").strip(), _SEED))
    except (MalformedKey, UnicodeDecodeError):
        raise Invalid(f"{path} holds no key of 32 bytes in base64") from None
