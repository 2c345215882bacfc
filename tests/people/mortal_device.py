"""A device whose process is killed after so many transactions of its key store.

    python -m tests.people.mortal_device '{"session": [url, user, device, token], "folder": ..., "url": ..., ...}'

Until then it does what a bot does: it listens, tends to its keys and speaks. It has no memory but the database, where
it also keeps how far it has listened, as a bot does in its tables.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from bot.crypto.store import Db, Store, meta, place_of, set_meta
from bot.matrix.client import Homeserver
from bot.matrix.login import Session
from moderation.values.ids import RoomId, UserId
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from tests.people.crypto_people import EncryptedBot

T = TypeVar("T")
_TOKEN = "test_token"  # in the store, where nothing of the product has this name
_LONGEST = 40  # messages


class _Mortal:
    """Kills this process after `left` transactions."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._begun = Store._transaction

    def transaction(self, store: Store, work: Callable[[Db], T]) -> T:
        result = self._begun(store, work)
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


async def live(session: Session, folder: Path, url: str, epoch: Epoch, room: str, life: int) -> None:
    """Speak in the room, one word after the other."""
    homeserver = Homeserver(session)
    where = place_of(DatabasePlace(folder, SecretStr(url)), session.device)
    bot = await EncryptedBot.open(homeserver, folder, where=where, epoch=epoch)
    bot._number = life * 1_000  # a message of another life has another transaction id
    bot.token = await bot.machine.store.run(lambda db: meta(db, _TOKEN))
    for number in range(_LONGEST):
        await bot.hear()
        token = bot.token or ""
        await bot.machine.store.run(lambda db, token=token: set_meta(db, _TOKEN, token))  # type: ignore[misc]
        await bot.say(RoomId(room), f"life {life}, word {number}")


def main() -> None:
    """Live until the end."""
    given = json.loads(sys.argv[1])
    url, user, device, token = given["session"]
    mortal = _Mortal(given["transactions"])
    Store._transaction = lambda self, work: mortal.transaction(self, work)  # type: ignore[method-assign]
    session = Session(url, UserId(user), device, token)
    asyncio.run(
        live(session, Path(given["folder"]), given["url"], Epoch("", *given["epoch"]), given["room"], given["life"])
    )


if __name__ == "__main__":
    main()
