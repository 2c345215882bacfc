"""A key with which the bot begins to encrypt makes the maintenance of keys due, so that the backup soon has it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from bot.crypto.machine import CryptoMachine
from bot.crypto.store import place_of
from bot.crypto.store_key import StoreKey
from bot.encryption.service import Encryption
from bot.matrix.http import Ask
from storage.database.place import DatabasePlace

US, BEN = "@answerable:example.org", "@ben:example.org"


class Homeserver:
    """The connection to a homeserver that takes everything and knows nothing."""

    async def ask(self, _ask: Ask) -> dict[str, Any]:
        return {}


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[CryptoMachine]:
    where = place_of(DatabasePlace(tmp_path), "D")
    machine = await CryptoMachine.open(where, StoreKey(bytes(32)), cast(Any, Homeserver()), US, "D")
    yield machine
    await machine.close()


async def is_due_after_a_message(machine: CryptoMachine, room: str) -> bool:
    """Send something, as if nothing had been due before. Tell whether something is due then."""
    due = Encryption(machine, cast(Any, None), machine.clock).work.due
    due.clear()
    await machine.encrypt(room, "m.room.message", {"body": "hello"}, [US, BEN])
    return due.is_set()


async def test_when_a_room_gets_its_first_key_and_whenever_it_gets_another(machine: CryptoMachine) -> None:
    found = [await is_due_after_a_message(machine, room) for room in ("!one", "!one", "!two", "!one")]
    await machine.members_changed("!one", [], gone=[BEN])
    assert [*found, await is_due_after_a_message(machine, "!one")] == [True, False, True, False, True]
