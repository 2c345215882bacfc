"""Events refused before their delivery: recorded, each once, and judged by that record.

Rules kept here:
- An event that was recorded so before, one of a room that is not served, and one of somebody who was never in its room
  are left out.
- What follows from a refusal is processed in the unit of work that records it.

Left to others: what a refusal is and says (`withheld.py`), what follows from it (`judge_event.py`).
"""

from collections.abc import Callable, Sequence

from bot.runtime.clock import Clock
from moderation.model.facts import Fact, MessageWithheld
from moderation.values.ids import UserId
from storage import queries
from storage.projections import POLICY_SEQ

from .judge_event import Judging, unharmed
from .process_facts import FactProcessor
from .room_registry import ServedRooms
from .unit_of_work import Answer, UnitOfWork
from .view_cache import ViewCache
from .withheld import Withheld, fact_of
from .writer import Writer


class Withholding:
    """The way in for refusals; `woken` is called with each unit of work that recorded some."""

    def __init__(
        self,
        writer: Writer,
        processor: FactProcessor,
        judging: Judging,
        knowledge: ViewCache,
        served: ServedRooms,
        clock: Clock,
        woken: Callable[[UnitOfWork], None],
    ) -> None:
        self._writer = writer
        self._processor = processor
        self._judging = judging
        self._knowledge = knowledge
        self._served = served
        self._clock = clock
        self._woken = woken

    async def take(self, refusals: Sequence[Withheld], *, read_to: int = 0) -> int:
        """Record refused events, and what follows. Return how many were new.

        `read_to`: up to where the notes of the policy server are recorded by now.
        """
        return await self._writer.run_exclusive(self.take_in_turn(refusals, read_to=read_to))

    async def take_in_turn(self, refusals: Sequence[Withheld], *, read_to: int = 0) -> int:
        """Do as `take`, inside `run_exclusive`."""
        async with self._writer.unit_of_work() as unit:
            new = sum([await self._record(unit, each) for each in refusals])
            if read_to:
                unit.meta[POLICY_SEQ] = str(read_to)
        self._woken(unit)
        return new

    async def _record(self, unit: UnitOfWork, withheld: Withheld) -> bool:
        """Record one refused event, and what follows. Return whether it was new."""
        served = withheld.room in self._served.codes and self._served.records(withheld.room)
        if not served or await queries.withheld_events(unit.db, [withheld.event]):
            return False
        if withheld.room not in await queries.rooms_ever_in(unit.db, UserId(withheld.sender)):
            return False
        index, at_ms, fact = unit.next_index, self._clock(), fact_of(withheld)
        await self._processor.process(unit, Answer((fact,)), cause=index, at_ms=at_ms)
        await self.judge(unit, index, fact, at_ms)
        return True

    async def judge(
        self,
        unit: UnitOfWork,
        index: int,
        fact: MessageWithheld,
        at_ms: int,
        present: Sequence[tuple[int, Fact]] = (),
    ) -> None:
        """Process what follows from a refusal recorded at `index`.

        `present` are its facts that the journal already has (after a crash); they are not written again.
        """
        room = await self._knowledge.room(unit.db, fact.home)
        if room is None:
            return
        answer = await unharmed(index, fact.home, self._judging.follow_withheld(unit, index, fact, room, at_ms))
        await self._processor.process(unit, answer, cause=index, at_ms=at_ms, present=present)
