"""Killed at any step, the policy server has given no answer that it does not keep, nor refused without a note."""

import asyncio
import json
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.federation.pdu import Pdu
from bot.federation.room_versions import room_version
from bot.federation.server_keys import ServerKey
from bot.policy_server.server import SIGN
from moderation.model.facts import PolicyServerSet
from storage.policy_server.spool import PolicySpool
from storage.policy_server.store import PolicyStore
from storage.policy_server.tables import open_to_read
from tests.door.bot.policy_server.asked import BAD, GOOD, NAME, RULES, Homeservers
from tests.door.offline import ANNA, OLGA, ROOM, Offline, offline
from tests.fakes.ports import free_port
from tests.long.faults.perform import LONG
from tests.theatre.forked_command import ForkedProgram

WITHIN_S = 120.0
SAMPLE = 4  # places in `make test-long`
FAR_MS = 4_000_000_000_000


@dataclass
class World:
    """The data of a bot, requests of its homeserver, and all answers that were ever given."""

    folder: Path
    port: int
    homeservers: Homeservers = field(default_factory=Homeservers)
    answers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    async def prepare(self) -> None:
        listen = f'[policy_server]\nserver_name = "{NAME}"\nlisten = "127.0.0.1:{self.port}"\nwithin = "10s"\n'
        async with offline(self.folder, RULES + listen) as bot:
            bot.time.ms = 1_000  # long before what is asked about
            await bot.pipeline.commit((PolicyServerSet(room=ROOM, step="on", by=OLGA),))
            self._write_config(bot, listen)
            store = PolicyStore.open(bot.config.data_dir, 1_000)
            key = ServerKey(self.homeservers.key("example.org").public, FAR_MS)
            await store.keep_keys("example.org", json.dumps({"ed25519:1": asdict(key)}), 1_000)
            store.close()

    def _write_config(self, bot: Offline, listen: str) -> None:
        head = f'[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "{bot.config.user}"\n'
        (self.folder / "config.toml").write_text(head + RULES + listen)

    def event(self, content: dict[str, Any], depth: int) -> dict[str, Any]:
        return self.homeservers.event(ANNA, content, at_ms=time.time_ns() // 1_000_000, depth=depth)

    async def ask(self, event: dict[str, Any]) -> bool:
        """Ask once; return whether there was an answer, and keep it."""
        headers = self.homeservers.header(event, SIGN)
        with suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"http://127.0.0.1:{self.port}{SIGN}", json=event, headers=headers) as response,
            ):
                self.answers[Pdu.of(event, room_version("11")).event_id].add(await response.text())
                return True
        return False

    def kept(self) -> set[str]:
        """Return the ids of events whose answers are on the disk."""
        reading = open_to_read(self.folder / "data")
        assert reading is not None
        with closing(reading) as tables:
            return {row[0] for row in tables.execute("SELECT event_id FROM answers")}

    def noted(self) -> list[str]:
        spool = PolicySpool(self.folder / "data")
        with closing(spool):
            return [note.event_id for note in spool.refusals_after(0)]


async def play(world: World, events: list[dict[str, Any]], kill_at: int) -> None:
    """Ask about events of a process that is killed at a step, and of the next one until all are answered.

    The first process may have taken more steps than this one, as it tidies from time to time: so it is asked on.
    """
    for kill in (kill_at, 0):
        order = json.dumps({"folder": str(world.folder), "kill_at": kill})
        program = ForkedProgram(
            "tests.long.faults.policy_victim",
            order,
            folder=world.folder,
            output=world.folder / "log",
            environ=os.environ,
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                for event in events:
                    while program.poll() is None and not await world.ask(event):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                while kill and program.poll() is None:
                    await world.ask(events[0])  # each answer is a step
        finally:
            program.terminate()
            code = await asyncio.to_thread(program.wait)
        assert (code == -signal.SIGKILL) is bool(kill), code
        assert set(world.answers) <= world.kept()  # also at the moment of its death
        if not kill_at:
            return


def places(steps: int) -> Iterator[int]:
    """Yield the steps at which it is killed: all, or a seeded sample."""
    every = range(1, steps + 1)
    yield from every if LONG else sorted(random.Random(steps).sample(every, SAMPLE))


@pytest.mark.timeout(0 if LONG else 600)
async def test_killed_at_any_step_its_answers_stay_and_each_refusal_has_one_note(tmp_path: Path) -> None:
    world = World(tmp_path, free_port())
    await world.prepare()
    events = [world.event(GOOD, 1), world.event(BAD, 2)]
    await play(world, events, 0)
    steps = len((tmp_path / "steps").read_text().splitlines())
    assert steps >= 8
    refused = [Pdu.of(events[1], room_version("11")).event_id]
    for number, place in enumerate(places(steps)):
        events = [world.event(GOOD, 10 + 2 * number), world.event(BAD, 11 + 2 * number)]
        await play(world, events, place)
        refused.append(Pdu.of(events[1], room_version("11")).event_id)
        assert world.noted() == refused, place
        assert {event: len(given) for event, given in world.answers.items() if len(given) > 1} == {}, place
    assert len(world.answers) == 2 * len(refused)
