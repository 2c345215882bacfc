"""The watch over the policy server: refusals are read from it, and rooms stop asking it when nobody can reach it.

Rules kept here:
- It is reached as other servers reach it: by its public name, found as they find it.
- A refusal is recorded before the policy server is told, by `meta.policy_seq`, that it may forget it.
- Rooms are looked at when it is reached for the first time, and when its key is another: by the old one nobody could
  write.
- A note that is not ours is passed over, and said in the log; it stops nothing.

Left to others: after which time it counts as down or back (`moderation/rooms/policy_server.py`), writing the room's
state (`bot/effects/policy_state.py`), refusing (the process `answerable policy`).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Literal, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.federation.connections import Connections
from bot.federation.policy_server_seen import seen_by_homeservers
from bot.federation.resolve import ServerResolver
from bot.outbox.handler import BotPart, Services
from bot.pipeline.withheld import Withheld, withheld_of
from moderation.model.actions.rooms import AlignPolicy
from moderation.model.facts import Fact, PolicyServerSet
from moderation.rooms.policy_server import Reachability
from moderation.values.errors import Invalid
from storage import queries
from storage.projections import POLICY_SEQ

log = structlog.get_logger()

ASK_EVERY_S = 15.0  # at most
READ_EVERY_S = 1.0
MOST_NOTES = 200  # recorded in one go


class NotedRefusal(Protocol):
    """A refusal as the policy server noted it."""

    @property
    def seq(self) -> int: ...

    @property
    def note(self) -> str: ...


class NotedRefusals(Protocol):
    """The policy server's database, open for reading."""

    def refusals_after(self, seq: int, most: int = MOST_NOTES) -> "tuple[NotedRefusal, ...]":
        """Return refusals with a number above `seq`, the oldest first. Raises `sqlite3.Error`."""
        ...


class ReachQuestion(Protocol):
    """A question whether the policy server can be reached."""

    async def __call__(self) -> bool: ...

    async def close(self) -> None: ...


class OutsideLook:
    """A question to the policy server under its public name, as other servers ask it."""

    def __init__(self, name: str, path: str, connections: Connections) -> None:
        self._name, self._path = name, path
        self._connections, self._resolver = connections, ServerResolver(connections)

    async def __call__(self) -> bool:
        """Return whether it answers that it is well, and nothing else answers in its place."""
        seen = await seen_by_homeservers(self._name, self._path, self._connections, self._resolver)
        if seen.problem:
            log.info("policy_server_not_reached", problem=seen.problem, why=seen.why)
        return not seen.problem

    async def close(self) -> None:
        """End what is running, and close the connections."""
        await self._resolver.close()
        await self._connections.close()


class NoQuestion:
    """A question that reaches nobody: from here nothing can be asked."""

    async def __call__(self) -> bool:
        """Return that it was not reached."""
        return False

    async def close(self) -> None:
        """Do nothing, as nothing is open."""


class RefusalReader(BotPart):
    """Reads what the policy server refused, as long as it runs."""

    def __init__(self, services: Services, notes: NotedRefusals) -> None:
        super().__init__(services)
        self._notes = notes

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                while await self.read():
                    pass
            except sqlite3.Error as error:
                log.warning("policy_refusals_not_read", why=str(error))
            await asyncio.sleep(READ_EVERY_S)

    async def read(self) -> int:
        """Record the next refusals. Returns how many notes were read."""
        seq = int(await self._database.fetch(queries.get_meta, POLICY_SEQ) or 0)
        notes = await asyncio.to_thread(self._notes.refusals_after, seq, MOST_NOTES)
        if notes:
            refusals = [refused for note in notes if (refused := _refused(note)) is not None]
            await self._pipeline.withholding.take(refusals, read_to=notes[-1].seq)
        return len(notes)


class PolicyWatch(RefusalReader):
    """Asks the policy server from outside and reads what it refused, as long as it runs."""

    def __init__(
        self,
        services: Services,
        notes: NotedRefusals,
        look: ReachQuestion,
        key: Callable[[], str],
        *,
        when_down_ms: int,
    ) -> None:
        """Set up; `key` returns the public key of its signatures, and reads the disk."""
        super().__init__(services, notes)
        self._look, self._key = look, key
        self._known_key = ""  # when the rooms were last looked at
        self.reach = Reachability(when_down_ms, last_ms=self._clock())
        self._every_s = min(ASK_EVERY_S, when_down_ms / 3_000)  # missed once, it does not count as down

    def reached(self) -> bool:
        """Tell whether rooms can ask it: it was reached, and does not count as down."""
        return self.reach.heard and not self.reach.down

    async def run(self) -> None:
        """Watch and read until cancelled."""
        await self.begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(super().run())
                group.create_task(self._ask())
        finally:
            await self._look.close()

    async def begin(self) -> None:
        """Read whether it counted as down before the start."""
        down = any(room.down_ms for room in await self._database.fetch(queries.rooms_that_ask))
        self.reach.begin(self._clock(), down=down)

    async def _ask(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Look once whether it can be reached, and record what that changes."""
        asking = await self._database.fetch(queries.rooms_that_ask)
        if not asking:
            self.reach.begin(self._clock(), down=False)  # it need not be there
            return
        before = self.reached()
        self.reach.note(self._clock(), reached=await self._look())
        await self._pipeline.commit_with(self._changes)
        key = await asyncio.to_thread(self._key)
        if self.reached() and (not before or key != self._known_key):
            self._known_key = key
            await self._pipeline.commit(actions=[AlignPolicy(room=each.room) for each in asking])

    async def _changes(self, db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
        down = self.reach.down
        step: Literal["down", "back"] = "down" if down else "back"
        for room in await queries.rooms_that_ask(db):
            if bool(room.down_ms) is not down:
                yield (PolicyServerSet(room=room.room, step=step),)


def _refused(note: NotedRefusal) -> Withheld | None:
    try:
        return withheld_of(note.note)
    except Invalid as error:
        log.warning("policy_refusal_not_ours", seq=note.seq, why=str(error))
        return None
