"""Detects whether the device's key store is an old copy that somebody restored.

Rules kept here:
- The number of the key store (`bot/crypto/store_age.py`) is also in the bot's database. It is increased in both at each
  start, at each stop and once an hour, in the store first.
- So a store that is behind the database is an old copy, at whatever moment the bot was killed.
- A database that is behind (it was lost or restored) is brought up to the store.
- A copy made after the last increase is not detected.
- In PostgreSQL both numbers go back together. It is noticed if the log there lacks records of this machine's files, or
  if the server is another one than before and may lack what was done last.
Left to others: the consequences (`service.py`, `bot/crypto/encrypting_client.py`), telling people (`key_alerts.py`).
"""

import asyncio
import functools

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.crypto import store_age
from bot.crypto.machine import CryptoMachine
from bot.pipeline.pipeline import Pipeline
from storage import queries
from storage.database.database import Database
from storage.projections import set_meta

log = structlog.get_logger()
EVERY_S = 3_600.0
_KNOWN = "keys_age"  # the device, and the number


class KeysAge:
    """The age of one machine's store."""

    def __init__(self, machine: CryptoMachine, database: Database, pipeline: Pipeline) -> None:
        self._machine = machine
        self._database = database
        self._pipeline = pipeline

    async def grow(self, *, went_back: bool = False, ends: bool = False) -> bool:
        """Increase the number in both places. Returns False, and changes nothing, if the store is an old copy.

        `went_back`: the database that both are in has lost what was committed, as the records on this machine show.
        `ends`: the store is not used any more until the next start.
        """
        grow = functools.partial(store_age.grow, known=await self._known(), went_back=went_back, ends=ends)
        grown = await self._machine.store.run(grow)
        if not grown:
            log.error("keys_old", device=self._machine.device, do="answerable keys new-device")
            return False

        async def note(db: AsyncConnection) -> None:
            await set_meta(db, _KNOWN, f"{self._machine.device} {grown}")

        await self._pipeline.commit(also=note)
        return True

    async def run(self) -> None:
        """Increase the number once an hour, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.grow()

    async def _known(self) -> int:
        device, _, number = (await self._database.fetch(queries.get_meta, _KNOWN) or "").partition(" ")
        return int(number) if device == self._machine.device else 0
