"""The age of this device's store: a growing number, to be compared with a copy that is kept elsewhere.

A store that was restored from an old copy would use its ratchets a second time: others could read messages with keys
that they once had, or take messages for replays. `bot/encryption/store_rollback.py` keeps the number elsewhere, detects
this, and reports it here; from then on the device counts as lost.

In PostgreSQL both numbers go back together. So the store also keeps which server it was on, and whether all that was
done there is certain to be in a copy of it: the bot had stopped, or the server waits for its copy.

Specification: client-server API v1.19, "Protection against replay attacks" ("m.megolm.v1.aes-sha2").
"""

from storage.database.server_seen import ServerSeen

from . import devices
from .store import Db, forget, meta, set_meta

_AGE, _OLD, _SERVER = "age", "old_copy", "server"
_WHOLE, _OPEN = "whole", "open"  # whether a copy of the server lacks nothing


def grow(db: Db, known: int, *, went_back: bool = False, ends: bool = False) -> int:
    """Increase the age beyond both the store's own and `known`, the one kept elsewhere. Returns the new age.

    Returns 0 if the store is an old copy: it is behind `known`, or the database that it is in `went_back` to an earlier
    state, or is on another server that may lack the end; and it has been in use. A newly created store is not one.
    `ends`: the store is not used any more until the next start.
    """
    age, server = int(meta(db, _AGE) or 0), db.server()
    if (age < known or went_back or _may_lack_its_end(db, server)) and meta(db, "published") is not None:
        set_meta(db, _OLD, "1")
    if is_old(db):
        return 0
    _note(db, server, ends=ends)
    set_meta(db, _AGE, str(max(age, known) + 1))
    return max(age, known) + 1


def _may_lack_its_end(db: Db, server: ServerSeen | None) -> bool:
    before, _, state = (meta(db, _SERVER) or "").rpartition(" ")
    return server is not None and before not in ("", server.name) and state == _OPEN


def _note(db: Db, server: ServerSeen | None, *, ends: bool) -> None:
    if server is None:
        forget(db, _SERVER)
    else:
        set_meta(db, _SERVER, f"{server.name} {_WHOLE if ends or server.is_copied else _OPEN}")


def is_old(db: Db) -> bool:
    """Tell whether this store was found to be an old copy, which is final."""
    return meta(db, _OLD) is not None


def is_of_no_use(db: Db) -> bool:
    """Tell whether this device is lost: its store is an old copy, or the homeserver has other keys for it."""
    return is_old(db) or meta(db, "own_at_server") == devices.OWN_OTHER
