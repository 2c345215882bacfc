"""Keys that are in place a moment later are no error; those that are not are reported."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bot.crypto.cross_signing import CrossSigning, KeyStanding, KeyState
from bot.encryption import key_upkeep
from bot.encryption.comparison_inbox import ComparisonInbox
from bot.encryption.key_upkeep import KeyUpkeep
from bot.encryption.service import KeyWork
from moderation.values.ids import UserId


class Machine:
    """A machine that has nothing to do."""

    user = "@answerable:example.org"
    device = "D"

    async def given_up(self, _before: int) -> list[Any]:
        return []


async def looks(
    states: list[KeyState], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[tuple[str, str]], list[KeyState]]:
    """Let each look find the next of these states. Returns what is logged, and the states that are reported."""
    left: Iterator[KeyState] = iter(states)
    told: list[KeyState] = []
    all_seen = asyncio.Event()

    async def make_ready(_self: CrossSigning) -> KeyStanding:
        return KeyStanding(next(left))

    async def stood(standing: KeyStanding) -> None:
        told.append(standing.state)
        all_seen.set()

    async def nothing(_self: KeyUpkeep) -> None:
        """Maintain nothing."""

    monkeypatch.setattr(key_upkeep, "LOOK_AGAIN_S", 0.001)
    monkeypatch.setattr(CrossSigning, "make_ready", make_ready)
    monkeypatch.setattr(KeyUpkeep, "_tend", nothing)
    inbox = ComparisonInbox(UserId(Machine.user))
    keys = KeyUpkeep(cast(Any, Machine()), cast(Any, None), lambda: 0, KeyWork(asyncio.Event()), inbox, stood)
    with capture_logs() as logged:
        running = asyncio.create_task(keys.run())
        async with asyncio.timeout(120):
            await all_seen.wait()
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return [(line["event"], line["log_level"]) for line in logged], told


async def test_keys_that_are_in_place_a_moment_later_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await looks([KeyState.UNSIGNED, KeyState.READY], monkeypatch) == ([], [KeyState.READY])


async def test_keys_that_stay_wanting_are_an_error_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await looks([KeyState.REPLACED, KeyState.REPLACED], monkeypatch)
    assert found == ([("keys_not_ready", "error")], [KeyState.REPLACED])
