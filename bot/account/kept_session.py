"""The session of the account in the database, so that whichever machine leads is the same device.

Rules kept here:
- It is sealed with a key that only the machines of the deployment have (`keys/crypto.key`): who reads the database
  learns no token.
- Only the leader writes it.
- Which homeserver's address a machine uses is its own matter: it stands in its configuration.

Left to others: using it (`bot/cli/session.py`).
"""

from dataclasses import dataclass, field

import orjson

from bot.crypto.store import places_of
from bot.crypto.store_key import StoreKey, load, load_or_create
from bot.matrix.login import Session
from moderation.values.ids import UserId
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace

from .key_files import note_key_files
from .tables import SESSION, reading, writing

_PURPOSE = "session"


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session without the address of its homeserver. The token is in no repr."""

    user: UserId
    device: str
    token: str = field(repr=False)


def kept_session(place: DatabasePlace) -> KeptSession | None:
    """Return the session that the database has; None if it has none, as without PostgreSQL.

    Raises `Broken` if the key that opens it is missing, `WrongKey` if it is another one, `OSError`.
    """
    with reading(place) as store:
        row = store.execute("SELECT sealed FROM session").fetchone() if store is not None else None
    if row is None:
        return None
    said = orjson.loads(load(place.data_dir).open(row[0], _PURPOSE))
    return KeptSession(UserId(said["user"]), said["device"], said["token"])


def keep_session(place: DatabasePlace, session: Session, epoch: Epoch) -> None:
    """Keep the session, in place of an earlier one, and note which keys the machines must have to open it.

    Raises `OSError`, `Superseded`.
    """
    said = {"user": session.user, "device": session.device, "token": session.token}
    sealed = _key(place).seal(orjson.dumps(said), _PURPOSE)
    with writing(place, epoch) as store:
        store.execute(SESSION.put(), (1, sealed))
    note_key_files(place, epoch)


def _key(place: DatabasePlace) -> StoreKey:
    return load_or_create(place.data_dir, store_exists=bool(places_of(place)))
