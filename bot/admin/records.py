"""Operations on the records: erase, hold, purge.

They are asked for by the operator, by the calendar, or by people about themselves.

Rules kept here:
- Each is declared by a signed record before anything is removed.
- A hold stops the erasing and purging of what it covers.
- A sanction or charge in force holds the records of its case without any order.
- Nothing younger than the floor is purged.

Left to others: doing it on disk (`storage/journal`), who may ask (`control_socket.py`,
`bot/commands/personal_data.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.identity_key import GivenKey
from bot.monitoring.trusted_time import Doubts, unheard
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.credit.credit import effective
from moderation.model.actions.removal import TakeBack
from moderation.model.facts import DataAsked, Fact, HoldEnded, HoldPlaced, PartsErased, RecordsPurged
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.errors import Invalid, Refused
from moderation.values.ids import EventId, PersonId, RoomId, UserId
from storage import queries
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.export.waiting import remove_waiting
from storage.identity.store import IdentityStore
from storage.journal.journal import Journal
from storage.journal.retention.find import FoundParts, overdue_parts, parts_of, said_of
from storage.journal.retention.legal_holds import Covers, HoldsInForce, LegalHold, holds_in_force
from storage.journal.retention.purge import PurgePlan, Retention, plan_purge
from storage.journal.retention.ranges import Ranges
from storage.journal.retention.targets import Targets
from storage.projections.erase_person import erase_from_tables
from storage.projections.linked_accounts import links_of

from .backup import BackupOperations
from .barred import BarredList
from .cases import CaseOperations
from .console import ConsoleEndings
from .dossiers import Dossiers
from .exports import ExportOperations
from .identity import NOTHING, Forgotten, IdentityOperations
from .people import PeopleOperations
from .reports import ReportOperations
from .request import ByName, Progress, Request, no_progress
from .room_servers import ServerOperations
from .rooms import RoomOperations
from .roster import RosterOperations
from .tidy import Tidier

log = structlog.get_logger()

# Records that appeals rest on are kept until these are over.
OF_DECISIONS = ("finding", "case", "decision", "sanction", "credit", "appeal")
Others = Literal["erase-confirmed", "erase-relayed", ""]
BY_SANCTION = ""  # the duty of a hold that follows from a sanction or charge in force


@dataclass(frozen=True, slots=True)
class Kept:
    """Parts that stay, for which duty, and until when (0: no date is known)."""

    parts: int
    duty: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Erased:
    """The result of an erasure: how many parts, by which record (-1: none), and what stays."""

    parts: int
    by: int
    kept: tuple[Kept, ...]
    elsewhere: int  # records that name the person in somebody else's part
    identity: Forgotten = NOTHING  # what they proved about themselves
    said: int = 0  # messages of the bot that are redacted


class Operations:
    """Operations that change the records."""

    def __init__(
        self,
        pipeline: Pipeline,
        database: Database,
        place: DatabasePlace,
        policy: Policy,
        retention_ms: int,
        clock: Clock,
        store: IdentityStore,
        given: GivenKey,
        doubts: Doubts = unheard,
        tell_shards: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Set up.

        `doubts`: why the clock may be wrong; in doubt nothing is removed because its time is over. `tell_shards`
        publishes what other shards do not know yet.
        """
        self.doubts = doubts
        self._tell_shards = tell_shards
        self._pipeline = pipeline
        self._database = database
        data_dir = place.data_dir
        self._records = data_dir / "records"
        days = retention_ms // DAY_MS
        appeal_days = policy.cases.appeal_within // DAY_MS
        self._retention = Retention(days, dict.fromkeys(OF_DECISIONS, max(days, appeal_days)))
        self._policy = policy
        self._clock = clock
        self.dossiers = Dossiers(pipeline, database, self._records, policy, clock)
        self.tidier = Tidier(pipeline, database, self._records, retention_ms, clock)
        self.backup = BackupOperations(pipeline, database, place, policy, clock)
        self._exports = ExportOperations(pipeline, database, data_dir, clock)
        self.roster = RosterOperations(pipeline, database, store, clock)
        self._people = PeopleOperations(pipeline, database, store)
        self.identity = IdentityOperations(pipeline, database, store, given, data_dir, clock, self._holds)

    # Erasing.

    async def erase(
        self,
        user: UserId,
        *,
        what: Literal["request", "operator"],
        reader: str = "",
        reason: str = "",
        dry_run: bool = False,
        progress: Progress = no_progress,
        others: Others = "erase-confirmed",
    ) -> Erased:
        """Remove all parts about a person that no hold covers, also from the tables.

        Other shards do the same; `others` says what they are told ("": nothing).

        What they proved about themselves goes first, since the tables tell who they are. If nothing is kept, their keys
        go, too.
        """
        holds = await self._holds(user)
        identity = await self.identity.forget(user, holds, what=what, reader=reader, reason=reason, dry_run=dry_run)
        accounts = await self._database.fetch(queries.accounts_of, user)
        found = await asyncio.to_thread(parts_of, self._records, set(accounts), holds, progress)
        kept = _kept(found, holds)
        if dry_run:
            return Erased(found.targets.count, -1, kept, found.elsewhere, identity)
        if others and self._tell_shards is not None:
            asked = [DataAsked(what=others, subject=account) for account in accounts]
            await self._pipeline.commit(asked)
            await self._tell_shards()
        must_stay = {index for targets in found.held.values() for index in targets.records()}
        words = await self._said_of(accounts, must_stay, found.said)
        by = await self._erase(found.targets, what, reader, reason)
        # What was written meanwhile, such as the outcome of the last thing they asked for.
        since = await asyncio.to_thread(parts_of, self._records, set(accounts), holds)
        await self._erase(since.targets, what, reader, reason)
        gone = partial(erase_from_tables, accounts=accounts, kept=must_stay)
        await self._pipeline.commit(actions=[TakeBack(room=room, event=event) for room, event in words], also=gone)
        if not kept:
            for account in accounts:  # records from before the link have a separate key
                await self._pipeline.journal.use(partial(_forget, PersonId(account)))
        await self._clean()
        return Erased(found.targets.count + since.targets.count, by, kept, since.elsewhere, identity, len(words))

    async def _clean(self) -> None:
        """Remove what may hold copies: exports that wait for somebody, and the database's write-ahead log.

        What is left of the latter goes with the next purge.
        """
        await asyncio.to_thread(remove_waiting, self._records.parent)
        if not await self._database.clean():
            log.warning("database_log_not_emptied")

    async def _said_of(
        self, accounts: Collection[UserId], must_stay: Collection[int], caused: Collection[int]
    ) -> list[tuple[RoomId, EventId]]:
        """Return the messages of the bot to or about a person, except those of cases that must stay.

        `caused`: the records of what the person sent.
        """
        bot = self._pipeline.settings.bot
        async with self._database.read() as db:
            cases = await queries.cases_about(db, accounts)
            staying = await queries.cases_of_records(db, must_stay)
            alone = await queries.said_in_direct_rooms(db, bot, accounts)
        made = await asyncio.to_thread(said_of, self._records, accounts, cases, caused=caused, without=staying)
        needed = await asyncio.to_thread(said_of, self._records, (), staying)
        return await self._database.fetch(queries.rooms_of_words, bot, (alone | set(made)) - set(needed))

    async def _erase(
        self, targets: Targets, what: Literal["request", "operator", "retention"], reader: str, reason: str
    ) -> int:
        by = -1
        for piece in targets.pieces():
            fact = PartsErased(parts=piece.count, what=what, records=piece.text, reader=reader, reason=reason)
            by = await self._pipeline.journal.use(partial(_erase_piece, piece), fact, signed=True)
        return by

    async def _holds(self, user: UserId | None = None) -> HoldsInForce:
        """Return the holds in force; for a person also those that follow from their sanctions and charges in force."""
        placed = await asyncio.to_thread(holds_in_force, self._records, self._clock())
        async with self._database.read() as db:
            resting = await self._resting(db, user)
            own = [
                LegalHold(-1 - number, until, BY_SANCTION, Covers(records=Ranges.of(await _records(db, record, n))))
                for number, (record, n, until) in enumerate(resting)
            ]
        return HoldsInForce((*placed.holds, *own))

    async def _resting(self, db: AsyncConnection, user: UserId | None) -> list[tuple[int, int, int]]:
        """Return what rests on records, as (record, case, until): nobody escapes a measure by having it erased."""
        now, settings = self._clock(), self._policy.credit
        if user is None:
            return [(each.record, each.n, each.until) for each in await queries.all_in_force(db)]
        person = await queries.person_view(db, user, now_ms=now, recent_since=now)
        charges = effective(person.entries, now, settings)
        resting = [
            *((each.record, each.n, each.until) for each in person.in_force),
            *((each.id, each.case or 0, each.at_ms + settings.expires_after) for each in charges),
        ]
        if not resting:
            return []
        # Nor by having the link to an account erased.
        until = 0 if any(not until for *_, until in resting) else max(until for *_, until in resting)
        return [*resting, *((record, 0, until) for record, _ in await links_of(db, person.accounts))]

    # Holding.

    async def place_hold(self, duty: str, covers: str, until_ms: int, *, n: int = 0, reader: str = "") -> int:
        """Postpone erasing and purging. Return the index that names the hold. Raises `Invalid`, saying why."""
        if not duty.strip():
            raise Invalid("a hold needs the duty or claim it rests on")
        if until_ms <= self._clock():
            raise Invalid("a hold must end in the future; it ends by itself")
        parsed = Covers.parse(covers)
        people = await self._database.fetch(queries.accounts_of_all, [UserId(person) for person in parsed.persons])
        text = replace(parsed, persons=frozenset(each for accounts in people.values() for each in accounts)).text
        fact = HoldPlaced(until=until_ms, n=n, duty=duty, covers=text, reader=reader)
        return await self._pipeline.journal.use(_newest, fact)

    async def end_hold(self, start: int, *, reason: str = "", reader: str = "") -> None:
        """End a hold before its time. Raises `Refused` if no such hold is in force."""
        placed = await asyncio.to_thread(holds_in_force, self._records, self._clock())
        if start not in {hold.index for hold in placed.holds}:
            raise Refused("error.hold.none", n=start)
        await self._pipeline.commit((HoldEnded(start=start, reason=reason, reader=reader),))

    # Purging.

    async def plan(self) -> PurgePlan:
        """Return what can be purged now."""
        return await asyncio.to_thread(plan_purge, self._records, self._clock(), self._retention, await self._holds())

    async def purge(self, what: Literal["schedule", "command"], *, reader: str = "") -> PurgePlan:
        """Purge the days that are due; of days in which something must stay, erase the parts that are over.

        Raises `Refused` if this machine's clock may be wrong: by a wrong clock everything would be due.
        """
        plan = await self.plan()
        if (plan.days or plan.stop) and (doubt := self.doubts()):
            raise Refused(f"error.clock.{doubt}")
        if plan.days:
            fact: Fact = RecordsPurged(below=plan.below, what=what, reader=reader)
            await self._pipeline.journal.use(partial(_purge, plan.below), fact, signed=True)
        if plan.stop is not None:
            await self._erase_overdue(reader)
        await self._clean()
        return plan

    async def _erase_overdue(self, reader: str) -> None:
        due = self._retention.is_due(self._clock())
        found = await asyncio.to_thread(overdue_parts, self._records, due, await self._holds())
        if found.targets:
            await self._erase(found.targets, "retention", reader, "")

    # For the control socket and the command line.

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {
            "erase": self._do_erase,
            "hold": self._do_hold,
            "end-hold": self._do_end_hold,
            "purge": self._do_purge,
            "clock": self._do_clock,
            **BarredList(self._pipeline, self._policy, self._clock).by_name(),
            **self.dossiers.by_name(),
            **CaseOperations(self._pipeline, self._policy, self._clock).by_name(),
            **self.roster.by_name(),
            **RoomOperations(self._pipeline, self._policy, self._clock).by_name(),
            **ServerOperations(self._pipeline, self._policy, self._clock).by_name(),
            **ReportOperations(self._pipeline, self._policy, self._clock).by_name(),
            **ConsoleEndings(self._pipeline, self._clock).by_name(),
            **self.identity.by_name(),
            **self._people.by_name(),
            **self.backup.by_name(),
            **self._exports.by_name(),
        }

    async def _do_erase(self, asked: Request) -> dict[str, Any]:
        done = await self.erase(
            asked.person,
            what="operator",
            reader=asked.who,
            reason=asked.string("reason"),
            dry_run=bool(asked.arguments.get("dry_run")),
            progress=asked.progress,
        )
        kept = [{"parts": each.parts, "duty": each.duty, "until": each.until_ms} for each in done.kept]
        proved = done.identity
        held = {"duty": proved.held.duty, "until": proved.held.until_ms} if proved.held else None
        identity = {"claims": proved.claims, "marks": proved.marks, "held": held}
        said = {"parts": done.parts, "record": done.by, "kept": kept, "elsewhere": done.elsewhere, "said": done.said}
        return {**said, "identity": identity}

    async def _do_hold(self, asked: Request) -> dict[str, Any]:
        n = asked.number("case")
        until = asked.number("until")
        return {
            "hold": await self.place_hold(asked.string("duty"), asked.string("covers"), until, n=n, reader=asked.who)
        }

    async def _do_end_hold(self, asked: Request) -> dict[str, Any]:
        await self.end_hold(asked.number("hold"), reason=asked.string("reason"), reader=asked.who)
        return {"hold": asked.number("hold")}

    async def _do_clock(self, _asked: Request) -> dict[str, Any]:
        return {"doubt": self.doubts()}

    async def _do_purge(self, asked: Request) -> dict[str, Any]:
        plan = await self.plan() if asked.arguments.get("dry_run") else await self.purge("command", reader=asked.who)
        stop = plan.stop
        stopped = {"why": stop.why, "day": stop.day, "kind": stop.kind, "hold": stop.hold} if stop else None
        return {
            "below": plan.below,
            "days": list(plan.days),
            "records": plan.records,
            "bytes": plan.bytes,
            "stopped_by": stopped,
        }


async def _records(db: AsyncConnection, record: int, n: int) -> list[int]:
    return [record, *(await queries.records_of_case(db, n) if n else ())]


def _kept(found: FoundParts, holds: HoldsInForce) -> tuple[Kept, ...]:
    known = {hold.index: hold for hold in holds.holds}
    return tuple(Kept(targets.count, known[index].duty, known[index].until_ms) for index, targets in found.held.items())


def _forget(person: PersonId, journal: Journal) -> None:
    journal.forget(person)


def _newest(journal: Journal) -> int:
    return journal.size - 1


def _erase_piece(piece: Targets, journal: Journal) -> int:
    by = _newest(journal)
    journal.erase(piece, by)
    return by


def _purge(below: int, journal: Journal) -> None:
    journal.purge(below, _newest(journal))
