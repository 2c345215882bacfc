"""A new device of the account, after the keys of the old one, or the key that opens them, were lost on every machine.

Left to others: logging in, and ending the old session (`bot/cli/keys/command.py`).
"""

from bot.crypto.store_key import FILE, load_or_create
from bot.matrix.login import Session
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace

from .kept_session import keep_session
from .key_files import forget_key_files


def begin_again(place: DatabasePlace, session: Session, epoch: Epoch) -> None:
    """Keep a session of a new device, sealed with this machine's key, which is made now if there is none.

    From now on the other machines must have this key. Raises `Broken` if the file holds no key, `OSError`,
    `Superseded`.
    """
    load_or_create(place.data_dir, store_exists=False)
    forget_key_files(place, epoch, (str(FILE),))
    keep_session(place, session, epoch)
