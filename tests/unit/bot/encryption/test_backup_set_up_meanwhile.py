"""A backup that somebody sets up while the bot looks for it is used from the next look on."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
import vodozemac

from bot.crypto.key_backup import ALGORITHM
from bot.encryption.comparison_inbox import ComparisonInbox
from bot.encryption.key_upkeep import KeyUpkeep
from bot.encryption.service import KeyWork
from moderation.values.ids import UserId

SECRET = vodozemac.Curve25519SecretKey()
OURS = {"version": "1", "algorithm": ALGORITHM, "auth_data": {"public_key": SECRET.public_key().to_base64()}}


class Machine:
    """A machine that holds the key of a backup; the homeserver has that backup from the second look on."""

    user = "@answerable:example.org"

    def __init__(self) -> None:
        self.store = self.requests = self.keys = self
        self.asked = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def run(self, work: Callable[[Any], Any]) -> Any:
        return work(None)

    def secret(self, _db: object, _name: str) -> bytes:
        return SECRET.to_bytes()

    def to_back_up(self, _db: object, _version: str, _limit: int) -> list[Any]:
        return []

    async def backup(self) -> dict[str, Any] | None:
        self.asked += 1
        if self.asked > 1:
            return OURS
        self.meanwhile()
        return None


@pytest.mark.parametrize(("meanwhile", "uses"), [(True, True), (False, False)])
async def test_it_is_looked_for_again_only_if_keys_were_changed_meanwhile(meanwhile: bool, uses: bool) -> None:
    machine, work = Machine(), KeyWork(asyncio.Event())
    work.changed.clear()
    inbox = ComparisonInbox(UserId(Machine.user))
    keys = KeyUpkeep(cast(Any, machine), cast(Any, None), lambda: 0, work, inbox, cast(Any, None))
    if meanwhile:
        machine.meanwhile = keys.look_again
    await keys._back_up()
    await keys._back_up()
    assert (machine.asked > 1, keys._backup == "1") == (uses, uses)
