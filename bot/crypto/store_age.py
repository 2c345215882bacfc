"""How often the store of this device was gone on with: a number that grows, to be compared with one kept elsewhere.

A store that is brought back from an old copy would use its ratchets a second time: others could read what is said by
keys they had once, or take it for a repetition. Whoever keeps the number elsewhere
(`bot/encryption/store_rollback.py`) can tell, and says so here; from then on the device is as good as lost.

Specification: client-server API v1.19, "Protection against replay attacks" ("m.megolm.v1.aes-sha2").
"""

from . import devices
from .store import Db, meta, set_meta

_AGE, _OLD = "age", "old_copy"


def grow(db: Db, known: int) -> int:
    """Once more than both this store and whoever keeps the number elsewhere (`known`) know of. The new number, or 0 if
    the store is an old copy: it is behind `known`, and has been in use. One that was made anew is none."""
    age = int(meta(db, _AGE) or 0)
    if age < known and meta(db, "published") is not None:
        set_meta(db, _OLD, "1")
    if is_old(db):
        return 0
    set_meta(db, _AGE, str(max(age, known) + 1))
    return max(age, known) + 1


def is_old(db: Db) -> bool:
    """Whether this store was found to be an old copy; it stays one."""
    return meta(db, _OLD) is not None


def is_of_no_use(db: Db) -> bool:
    """Whether this device is lost: the store is an old copy, or the homeserver knows the device by other keys."""
    return is_old(db) or meta(db, "own_at_server") == devices.OWN_OTHER
