"""The age of this device's store: a growing number, to be compared with a copy that is kept elsewhere.

A store that was restored from an old copy would use its ratchets a second time: others could read messages with keys
that they once had, or take messages for replays. `bot/encryption/store_rollback.py` keeps the number elsewhere, detects
this, and reports it here; from then on the device counts as lost.

Specification: client-server API v1.19, "Protection against replay attacks" ("m.megolm.v1.aes-sha2").
"""

from . import devices
from .store import Db, meta, set_meta

_AGE, _OLD = "age", "old_copy"


def grow(db: Db, known: int, *, went_back: bool = False) -> int:
    """Increase the age beyond both the store's own and `known`, the one kept elsewhere. Returns the new age.

    Returns 0 if the store is an old copy: it is behind `known`, or the database that it is in `went_back` to an earlier
    state, and it has been in use. A newly created store is not one.
    """
    age = int(meta(db, _AGE) or 0)
    if (age < known or went_back) and meta(db, "published") is not None:
        set_meta(db, _OLD, "1")
    if is_old(db):
        return 0
    set_meta(db, _AGE, str(max(age, known) + 1))
    return max(age, known) + 1


def is_old(db: Db) -> bool:
    """Tell whether this store was found to be an old copy, which is final."""
    return meta(db, _OLD) is not None


def is_of_no_use(db: Db) -> bool:
    """Tell whether this device is lost: its store is an old copy, or the homeserver has other keys for it."""
    return is_old(db) or meta(db, "own_at_server") == devices.OWN_OTHER
