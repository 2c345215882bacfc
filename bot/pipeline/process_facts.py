"""The processing of facts: they are completed, recorded and applied, reasons are stated, and actions are queued.

Rules kept here, in this order:
1. If something urgent follows, the facts are written and fsynced at once, and it is begun (decision 0029).
2. Facts are applied one after the other.
3. The statements of reasons are written last.
4. Actions are queued in the same transaction as the tables.

What is recorded already holds as it stands.
Left to others: the unit of work itself (`writer.py`), what an event gives rise to (`judge_event.py`), sending
(`bot/outbox/dispatcher.py`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.runtime.clock import Clock
from bot.texts.notifications import in_words
from moderation.cases.obligations import concerns, derive_obligations
from moderation.cases.statements import StatementContext, keep_statement, statement, to_be_stated
from moderation.consequences import ABOUT_THEM, Known, RoomsOf, at_once, consequences
from moderation.model.actions.base import Action
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import (
    FACTS,
    AccountsLinked,
    AccountUnlinked,
    ActionTaken,
    Appealed,
    CaseCommented,
    CaseNoted,
    CaseOpened,
    Fact,
    Learnt,
    PartsErased,
    RecordsRestored,
    RoomEntered,
    RoomStateChanged,
    StatementGiven,
)
from moderation.model.facts.base import words_in
from moderation.values.ids import PersonId, RoomId, UserId
from storage import outbox, queries
from storage.journal.record import Draft
from storage.projections import ERA, project
from storage.projections.linked_accounts import linked
from storage.projections.upgraded_rooms import move_waiting
from storage.record_mapping import draft_of_fact

from .alerts import alerts_of, each_channel
from .case_bursts import case_bursts, may_be_shared
from .case_context import CaseContextLoader
from .crossing_ends import for_all_shards, with_names
from .crossing_records import CrossingRecords
from .dossier_tasks import dossier_tasks
from .expand_recipients import expand_recipients
from .learnt import LearntConsequences
from .other_accounts import words_to_other_accounts
from .reporters import reporters, with_misuse_of_reports
from .room_registry import ServedRooms
from .said_once import said_once
from .takedowns import may_remove, takedowns
from .unit_of_work import Answer, PipelineSettings, UnitOfWork
from .urgent_rows import UrgentRows
from .view_cache import ViewCache
from .withdrawn_entries import may_withdraw, withdrawn_entries
from .writer import Writer

log = structlog.get_logger()

_TURNS_TO_SEND = 2  # of the event loop: one to make a request, one to write it
# How long in all a unit of work waits for answers to urgent requests, before it uses disk and processor.
_PATIENCE_S = 0.05


class Derivation(Protocol):
    """A step that adds to facts what follows from them. They are neither recorded nor applied yet."""

    async def __call__(self, unit: UnitOfWork, facts: list[Fact], cause: int, at_ms: int, /) -> list[Fact]: ...


class FollowUp(Protocol):
    """A step that finds what facts ask for, once they are applied.

    `said` are the facts with the words of people that are not kept.
    """

    async def __call__(
        self, unit: UnitOfWork, facts: Sequence[Fact], said: Sequence[Fact], at_ms: int, /
    ) -> Sequence[Action]: ...


class FactProcessor:
    """Derives, records and applies facts inside a unit of work, and queues what they ask for."""

    def __init__(
        self,
        writer: Writer,
        knowledge: ViewCache,
        settings: PipelineSettings,
        served: ServedRooms,
        urgent: UrgentRows,
        steady: Clock,
    ) -> None:
        self.steady = steady  # the time of the outbox
        self.era = ""  # of a log that continues from a backup (`outbox.put`)
        self.crossing = CrossingRecords(sharded=settings.sharded)
        self._urgent = urgent
        self._writer = writer
        self._knowledge = knowledge
        self._settings = settings
        self._served = served
        self._loader = CaseContextLoader(knowledge, settings.policy)
        self._learnt = LearntConsequences(knowledge, self._loader, settings.policy)
        self._persons: dict[UserId, PersonId] = {}  # of accounts that are recorded under another one's name
        self._derivations: tuple[Derivation, ...] = (
            self._with_learnt,
            self._for_all_shards,
            self._with_takedowns,
            self._with_misuse_of_reports,
            self._with_obligations,
            self._with_dossier_tasks,
            self._with_withdrawn_entries,
            self._with_bursts,
            *((with_names,) if settings.sharded else ()),
        )
        self._follow_ups: tuple[FollowUp, ...] = (
            self._consequences,
            self._words_to_other_accounts,
            self._alerts,
        )

    async def begin(self, db: AsyncConnection) -> None:
        """Read what must be known before the first unit of work."""
        self.era = await queries.get_meta(db, ERA) or ""
        self._persons = await linked(db)

    def person_of(self, user: UserId) -> PersonId:
        """Return the name under which an account is recorded."""
        return self._persons.get(user, PersonId(user))

    def draft_of(self, fact: Fact, at_ms: int) -> Draft:
        """Return the record of a fact, to be written."""
        return draft_of_fact(fact, at_ms, self._served.code(fact), self.person_of)

    async def process(
        self, unit: UnitOfWork, answer: Answer, *, cause: int, at_ms: int, present: Sequence[tuple[int, Fact]] = ()
    ) -> None:
        """Stage the facts, apply them, and queue what they and the answer ask for.

        `present` are the facts of this cause that the journal already has (after a crash); they are not written again.
        """
        if not (answer.facts or answer.actions or present):
            return  # the usual case: most messages have no consequence
        stated = [each for each in present if isinstance(each[1], StatementGiven)]  # these come last
        facts = [self._without_words(fact) for fact in answer.facts if not isinstance(fact, StatementGiven)]
        for derive in self._derivations:
            facts = await derive(unit, facts, cause, at_ms)
        present = present or await self._begin_urgent(unit, facts, answer.actions, cause, at_ms)
        facts = await self._apply_all(unit, facts, [each for each in present if each not in stated], cause, at_ms)
        said = await self._statements(unit, facts, cause)
        facts += await self._apply_all(unit, said, stated, cause, at_ms)
        asked = [action for follow in self._follow_ups for action in await follow(unit, facts, answer.facts, at_ms)]
        actions = await self._expanded(unit, _urgent_first((*asked, *answer.actions)))
        await unit.queue(actions, cause=cause, now=self.steady(), era=self.era)

    async def queue_after(self, unit: UnitOfWork, txn: str, actions: Sequence[Action]) -> None:
        """Queue what the outcome of a request asks for, once; nothing if that outcome is recorded."""
        if await outbox.is_waiting(unit.db, txn):
            named = await said_once(unit.db, await self._expanded(unit, actions))
            await outbox.put(unit.db, named, cause=None, now=self.steady(), era=self.era, after=txn)

    async def queue_alone(self, unit: UnitOfWork, actions: Sequence[Action]) -> None:
        """Queue actions that no record caused."""
        await unit.queue(await self._expanded(unit, actions), cause=None, now=self.steady(), era="")

    # Urgent consequences.

    async def _begin_urgent(
        self, unit: UnitOfWork, facts: Sequence[Fact], actions: Sequence[Action], cause: int, at_ms: int
    ) -> list[tuple[int, Fact]]:
        """Record the facts and begin their urgent consequences at once, without waiting for the tables.

        Until then everybody can still see what is to be removed. Returns the facts with their indices if they are
        recorded, else nothing. The rows are queued with all others of this cause, under the same transaction ids.
        """
        urgent = [action for action in (*at_once(facts), *actions) if action.early]
        if not urgent or any(fact.RENAMES for fact in facts):
            return []
        first = unit.next_index
        unit.stage(self.draft_of(fact, at_ms) for fact in facts)
        await self._writer.write_staged(unit)
        self._urgent.hand_on(outbox.on_their_way(urgent, cause=cause, now=self.steady(), era=self.era))
        await self._let_it_pass(unit)
        return list(enumerate(facts, first))

    async def _let_it_pass(self, unit: UnitOfWork) -> None:
        """Wait for the answers to what is urgent, up to `_PATIENCE_S` in one unit of work.

        The rest of the work would take disk and processor from the homeserver, which is often on the same machine.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(_TURNS_TO_SEND):  # database statements do not yield: else nothing would be sent before they end
            await asyncio.sleep(0)
        if unit.waited_s < _PATIENCE_S:
            await self._urgent.answered(_PATIENCE_S - unit.waited_s)
            unit.waited(loop.time() - began)

    # Derivations: facts that follow from facts, before these are recorded.

    async def _with_learnt(self, unit: UnitOfWork, facts: list[Fact], cause: int, at_ms: int) -> list[Fact]:
        if not any(isinstance(fact, Learnt) for fact in facts):
            return facts
        await unit.flush()
        return [*facts, *await self._learnt.of(unit.db, facts, cause, at_ms)]

    async def _for_all_shards(self, unit: UnitOfWork, facts: list[Fact], _cause: int, at_ms: int) -> list[Fact]:
        return await for_all_shards(unit.db, facts, self._settings.policy, at_ms) if self._settings.sharded else facts

    async def _with_takedowns(self, unit: UnitOfWork, facts: list[Fact], cause: int, at_ms: int) -> list[Fact]:
        if not may_remove(facts):
            return facts
        await unit.flush()
        policy = self._settings.policy
        return [*facts, *await takedowns(unit.db, facts, self._knowledge, policy, cause=cause, now_ms=at_ms)]

    async def _with_misuse_of_reports(self, unit: UnitOfWork, facts: list[Fact], _cause: int, at_ms: int) -> list[Fact]:
        if not concerns(facts):
            return facts
        await unit.flush()
        policy, next_case = self._settings.policy, self._knowledge.next_case
        return await with_misuse_of_reports(unit.db, facts, policy=policy, next_case=next_case, now_ms=at_ms)

    async def _with_obligations(self, unit: UnitOfWork, facts: list[Fact], cause: int, at_ms: int) -> list[Fact]:
        """Add who is responsible for what now waits, and who must be told before something happens."""
        if not concerns(facts):
            return facts
        await unit.flush()
        around = await self._loader.load(unit.db, facts, on=cause, now_ms=at_ms)
        # Outcomes of requests come last: they do not belong to the facts of this cause (`replay.py`).
        given_rise = [fact for fact in facts if not isinstance(fact, ActionTaken)]
        outcomes = [fact for fact in facts if isinstance(fact, ActionTaken)]
        return [*derive_obligations(given_rise, around), *outcomes]

    async def _with_dossier_tasks(self, unit: UnitOfWork, facts: list[Fact], _cause: int, at_ms: int) -> list[Fact]:
        return [*facts, *await dossier_tasks(unit.db, facts, self._settings.policy, at_ms)]

    async def _with_withdrawn_entries(
        self, unit: UnitOfWork, facts: list[Fact], _cause: int, _at_ms: int
    ) -> list[Fact]:
        if not may_withdraw(facts):
            return facts
        await unit.flush()
        return [*facts, *await withdrawn_entries(unit.db, facts)]

    async def _with_bursts(self, unit: UnitOfWork, facts: list[Fact], _cause: int, at_ms: int) -> list[Fact]:
        if not may_be_shared(facts):
            return facts
        return await case_bursts(unit.db, facts, self._settings.policy, at_ms)

    # Follow-ups: actions that facts ask for, once they are applied.

    async def _consequences(
        self, unit: UnitOfWork, facts: Sequence[Fact], said: Sequence[Fact], at_ms: int
    ) -> Sequence[Action]:
        if not facts:
            return ()
        told = await reporters(unit.db, facts)
        known = Known(await self._known_cases(unit, facts), at_ms)
        return in_words(consequences(_as_said(facts, said), await self._rooms_of(unit, facts), told, known))

    async def _known_cases(self, unit: UnitOfWork, facts: Sequence[Fact]) -> dict[int, StatementContext]:
        """Return the cases about the people who are told of these facts, as they are now."""
        numbers = dict.fromkeys(n for fact in facts if isinstance(fact, ABOUT_THEM) and (n := getattr(fact, "n", 0)))
        if numbers:
            await unit.flush()
        known = {n: await self._loader.known(unit.db, n) for n in numbers}
        return {n: each for n, each in known.items() if each is not None}

    async def _words_to_other_accounts(
        self, unit: UnitOfWork, facts: Sequence[Fact], _said: Sequence[Fact], _at_ms: int
    ) -> Sequence[Action]:
        return await words_to_other_accounts(unit.db, facts)

    async def _alerts(
        self, _unit: UnitOfWork, facts: Sequence[Fact], _said: Sequence[Fact], _at_ms: int
    ) -> Sequence[Action]:
        return alerts_of(facts)

    async def _expanded(self, unit: UnitOfWork, actions: Sequence[Action]) -> Sequence[Action]:
        settings = self._settings
        if any(isinstance(action, TellDesk) and action.discreet for action in actions):
            await unit.flush()
        told = each_channel(actions, settings.alerts)
        return await expand_recipients(unit.db, told, self._knowledge, settings.policy, settings.bot)

    # Parts of the above.

    async def _statements(self, unit: UnitOfWork, facts: Sequence[Fact], cause: int) -> list[Fact]:
        """Return the statement of reasons for each decision about somebody among the facts, which are applied."""
        numbers = to_be_stated(facts)
        if not numbers:
            return []
        await unit.flush()
        known = [known for n in numbers if (known := await self._loader.known(unit.db, n)) is not None]
        return [keep_statement(statement(each, facts), each, on=cause) for each in known if each.case.subject]

    async def _apply_all(
        self, unit: UnitOfWork, facts: list[Fact], present: Sequence[tuple[int, Fact]], cause: int, at_ms: int
    ) -> list[Fact]:
        """Stage the facts that the journal does not have yet, and apply them all.

        If what is recorded differs from `facts`, what is recorded holds. Returns the facts that were applied.
        """
        known = [fact for _, fact in present]
        if facts[: len(known)] != known:
            log.warning("judged_otherwise_before", record=cause)
            facts = known
        for number, fact in enumerate(facts):
            if number < len(present):
                index = present[number][0]
            else:
                index = unit.next_index
                unit.stage([self.draft_of(fact, at_ms)])
            await self._apply(unit, index, fact, at_ms)
        return facts

    async def _apply(self, unit: UnitOfWork, index: int, fact: Fact, at_ms: int) -> None:
        await project(fact, unit.db, index, at_ms)
        self.crossing.written(fact, index)
        unit.counts.add(fact.KIND, self._served.code(fact), at_ms, index)
        if isinstance(fact, AccountsLinked | AccountUnlinked | Learnt | PartsErased):
            self._persons = await linked(unit.db)
        if isinstance(fact, RoomStateChanged):
            self._served.changed(fact)
        if isinstance(fact, RoomEntered):
            for old in self._served.entered(fact):
                await move_waiting(unit.db, old, RoomId(fact.room_id))
                await self._knowledge.begin(unit.db)
            self._knowledge.room_changed(RoomId(fact.room_id))
        if room := self._served.given_desk(fact):
            await outbox.make_said_due(unit.db, room)
            unit.made_due()
        if isinstance(fact, RecordsRestored):
            self.era = fact.era
            self._knowledge.number_cases_from(fact.cases)
        if isinstance(fact, CaseOpened):
            self._knowledge.number_cases_from(fact.n + 1)
        self._knowledge.changed([fact])

    async def _rooms_of(self, unit: UnitOfWork, facts: Sequence[Fact]) -> RoomsOf:
        about = [fact for fact in facts if fact.room is None or bool(getattr(fact, "reach", ""))]
        named = {getattr(fact, name, UserId("")) for fact in about for name in ("subject", "target")}
        everywhere = named - {UserId("")}
        if everywhere:
            await unit.flush()
        rooms = {user: await queries.communities_of_person(unit.db, user) for user in everywhere}

        def rooms_of(user: UserId, reach: str = "", /) -> Sequence[RoomId]:
            return tuple(room for room, community in rooms.get(user, {}).items() if reach in ("", community))

        return rooms_of

    def _without_words(self, fact: Fact) -> Fact:
        """Return the fact without what a person wrote, if `content = "metadata"` forbids keeping it."""
        return fact if self._settings.content == "full" else without_words(fact)


_WORDS = {cls: words_in(cls) for cls in FACTS}  # the fields with what people wrote


def without_words(fact: Fact) -> Fact:
    """Return a fact without what somebody wrote.

    Reasons of decisions and rules of rooms are kept: statements of reasons and judging rest on them.
    """
    names = _WORDS[type(fact)]
    return replace(fact, **dict.fromkeys(names, "")) if names else fact  # type: ignore[arg-type]


def _as_said(facts: Sequence[Fact], said: Sequence[Fact]) -> list[Fact]:
    """Return the facts with the words of appeals and notes, kept or not: those who handle a case are told them."""
    words = {
        (type(fact), fact.n): fact.words for fact in said if isinstance(fact, Appealed | CaseCommented | CaseNoted)
    }
    return [
        replace(fact, words=words.get((type(fact), fact.n), fact.words))
        if isinstance(fact, Appealed | CaseCommented | CaseNoted)
        else fact
        for fact in facts
    ]


def _urgent_first(actions: Sequence[Action]) -> list[Action]:
    """Sort urgent actions to the front: they are numbered first, so their transaction ids are known before the rest."""
    return sorted(actions, key=lambda action: not action.early)
