"""The key files that every machine of a deployment must have: the database knows which, by their fingerprints.

A fingerprint tells nothing about a key. A key of a machine that is new is refused before it is used, rather than found
out when the machine must take over.

Rules kept here:
- The first machine that has a key decides which one it is.
- Nothing is noted but by the leader.

Left to others: making keys (`bot/crypto/store_key.py`, `storage/journal/transparency/log_key.py`), and the key of what
members proved: its store knows it (`storage/identity/keyring.py`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bot.crypto.store_key import FILE as CRYPTO_KEY
from moderation.values.errors import Refused
from storage.backup.contents import LOG_KEY
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace

from .tables import KEY_FILES, reading, writing

FILES = (LOG_KEY, str(CRYPTO_KEY))  # in the data directory


@dataclass(frozen=True, slots=True)
class WrongKeyFile:
    """A key file of this machine that is missing, or not the one of the other machines."""

    path: Path
    is_missing: bool


def wrong_key_files(place: DatabasePlace) -> list[WrongKeyFile]:
    """Return the key files that this machine lacks, or has others for. Raises `OSError`."""
    with reading(place) as store:
        noted = dict(store.execute(KEY_FILES.select()).fetchall()) if store is not None else {}
    here = {name: _fingerprint(place.data_dir / name) for name in noted}
    return [
        WrongKeyFile(place.data_dir / name, here[name] is None)
        for name, fingerprint in noted.items()
        if here[name] != fingerprint
    ]


def must_have_key_files(place: DatabasePlace) -> None:
    """Raise `Refused`, naming the files to copy, if this machine has not the keys of the others."""
    wrong = wrong_key_files(place)
    for key, found in (
        ("cli.run.keys_missing", [each for each in wrong if each.is_missing]),
        ("cli.run.keys_other", wrong),
    ):
        if found:
            raise Refused(key, files=", ".join(str(each.path) for each in found))


def note_key_files(place: DatabasePlace, epoch: Epoch) -> None:
    """Note the fingerprints of this machine's keys, where none is noted. Raises `OSError`, `Superseded`."""
    here = [(name, found) for name in FILES if (found := _fingerprint(place.data_dir / name)) is not None]
    with writing(place, epoch) as store:
        store.executemany(KEY_FILES.insert_if_new(), here)


def forget_key_files(place: DatabasePlace, epoch: Epoch, names: Iterable[str] = FILES) -> None:
    """Forget which keys the machines have, as this one has new ones. Raises `OSError`, `Superseded`."""
    with writing(place, epoch) as store:
        store.executemany("DELETE FROM key_files WHERE file = ?", [(name,) for name in names])


def _fingerprint(path: Path) -> str | None:
    """Return the fingerprint of the key in a file; None if there is no such file."""
    try:
        key = path.read_bytes().strip()
    except FileNotFoundError:
        return None
    return hashlib.sha256(b"answerable key file\0" + key).hexdigest()
