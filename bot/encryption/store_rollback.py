"""Tells whether the keys of the device are an old copy that somebody put back.

Rules kept here: the number of the key store (`bot/crypto/store_age.py`) stands in the bot's database too, and grows in
both at each start, at each stop and once an hour, in the store first: so a store that is behind the database is an old
copy, whenever the bot was killed, and a database that is behind (it was lost, or restored) is brought up to the store.
A copy younger than the last of these moments is not noticed.
Left to others: what follows (`service.py`, `bot/crypto/encrypting_client.py`), telling people (`key_alerts.py`).
"""

import asyncio
import functools

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.crypto import store_age
from bot.crypto.machine import CryptoMachine
from bot.pipeline.pipeline import Pipeline
from storage import queries
from storage.database import Database
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

    async def grow(self) -> bool:
        """Note in both places that the store goes on. False if it is an old copy; nothing is noted then."""
        grown = await self._machine.store.run(functools.partial(store_age.grow, known=await self._known()))
        if not grown:
            log.error("keys_old", device=self._machine.device, do="answerable keys new-device")
            return False

        async def note(db: AsyncConnection) -> None:
            await set_meta(db, _KNOWN, f"{self._machine.device} {grown}")

        await self._pipeline.commit(also=note)
        return True

    async def run(self) -> None:
        """Again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.grow()

    async def _known(self) -> int:
        async with self._database.read() as db:
            device, _, number = (await queries.get_meta(db, _KNOWN) or "").partition(" ")
        return int(number) if device == self._machine.device else 0
