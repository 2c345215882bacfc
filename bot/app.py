"""The assembly of all parts, and their run: the only place that names concrete adapters.

Rules kept here, in this order:
1. At the start the journal is opened, which repairs a torn end, and the database is migrated.
2. Records that the database does not have yet are applied, by the policy that was in force.
3. The start is recorded, and a change of policy.
4. Only then is the homeserver asked anything.
5. Nothing is sent before the first answer of `/sync` has been taken, so that rooms that the bot made and could not
   record are recognised.
6. At the stop requests under way are ended, the stop is recorded, and the journal is signed and closed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from moderation.model.facts import BotStopped, PolicyChanged
from storage import outbox, queries
from storage.database.following import Follows

from .account.key_files import note_key_files
from .admin.antispam import telling_of_questions
from .admin.console import ConsoleOperations
from .admin.console_sign_in import ConsoleSignIn
from .admin.control_socket import Control
from .admin.keys import KeyOperations
from .admin.rate_limit import learning_of_limit
from .admin.records import Operations
from .antispam.parts import make_front
from .bot_rooms.direct_rooms import DirectRooms
from .config.config import Config
from .crypto.encrypting_client import SealedHomeserver
from .crypto.machine import CryptoMachine
from .effects.anchor_day import Closer
from .effects.policy_parts import policy_parts
from .encryption.emoji_dialogue import Verifying
from .encryption.intake import Intake
from .encryption.key_alerts import KeysWatch
from .encryption.key_upkeep import KeyUpkeep
from .encryption.late_events import ReadAgain
from .encryption.service import open_machine
from .encryption.store_rollback import KeysAge
from .exchange.parts import ShardParts, shard_parts
from .handlers import Partners, all_handlers
from .identity.background import VerificationUpkeep
from .identity.oidc import Oidc
from .identity.oidc_callback import CallbackServer
from .identity.sign_in import SignIns
from .leading.lead import Lead, leading
from .matrix.http import Wire
from .matrix.known_limit import known_limit, remember_limit
from .matrix.login import Session
from .matrix.synapse_admin import SynapseAdmin
from .monitoring.health import leader_report
from .monitoring.page import WatchPage
from .monitoring.pulse import Pulse
from .monitoring.report import HealthReport
from .monitoring.systemd import ServiceManager
from .monitoring.trusted_time import Doubts, TrustedTime, unheard
from .monitoring.vitals import Looker, nobody_follows
from .outbox.dispatcher import OutboxDispatcher
from .outbox.handler import Services
from .outbox.slowed import Slowed
from .pipeline import heartbeat
from .pipeline.event_reader import PlainReader
from .pipeline.heartbeat import last_noted
from .pipeline.lost_time import RemovedMessages
from .pipeline.message_text import words_of
from .pipeline.pipeline import Pipeline
from .runtime.clock import Clock, wall_clock
from .runtime.works import run_until
from .scheduler.digest import Digester
from .scheduler.old_events import OldEvents
from .scheduler.scheduler import Scheduler
from .scheduler.tables_sample import TablesSample
from .startup import (
    Stores,
    caught_up,
    checks_at_start,
    desks_to_unite,
    ended_asking,
    forget_again,
    open_stores,
    start_facts,
)
from .sync.backfill import Gaps
from .sync.invitations import nowhere_else
from .sync.policy_lists import PolicyLists
from .sync.server_reports import ServerReports
from .sync.spaces import Spaces
from .sync.sync_loop import Listener
from .texts.catalog import Catalog
from .texts.matrix_message import Speech

log = structlog.get_logger()

NO_MANAGER = ServiceManager(None, None)


async def serve(
    config: Config,
    session: Session,
    stop: asyncio.Event,
    clock: Clock = wall_clock,
    manager: ServiceManager = NO_MANAGER,
    trusted: TrustedTime | None = None,
    lead: Lead | None = None,
    page: WatchPage | None = None,
) -> None:
    """Run the bot until `stop` is set. Raises any error that makes it useless to continue.

    `lead`: that of this process, if it was taken already; it is not ended here. `page`: the pages for monitoring, if
    they are to be served; that is left to the caller, too.
    """
    async with AsyncExitStack() as stack:
        lead = await leading(config, stack, lead)
        stores = await open_stores(config, stack, clock, lead)
        trusted = trusted or TrustedTime(clock)
        wire = await stack.enter_async_context(Wire(session.url, token=session.token, on_time=trusted.hear))
        epoch = lead.epoch if lead is not None else None
        machine = await open_machine(config.place, session, wire, clock, config.bot.readers, epoch)
        stack.push_async_callback(machine.close)
        homeserver = SealedHomeserver(session, wire, machine)
        intake = Intake(machine, homeserver, clock)
        pipeline = await caught_up(config, session.user, stores, clock, intake)
        await forget_again(stores)
        started = await start_facts(config.policy, stores)
        await pipeline.commit(started)
        if any(isinstance(fact, PolicyChanged) for fact in started):
            desks = await stores.database.fetch(desks_to_unite, config.policy)
            await pipeline.commit(actions=desks)
        keys_age = KeysAge(machine, stores.database, pipeline)
        if not await keys_age.grow(went_back=stores.journal.lost > 0):
            homeserver.keys_are_lost()
        trusted.resume(await stores.database.fetch(last_noted))
        if epoch is not None:
            await asyncio.to_thread(note_key_files, config.place, epoch)
        parts = (pipeline, stores.journal, stores.database, epoch, trusted.doubt)
        shards = shard_parts(config, stack, *parts)
        standbys = lead.standbys if lead is not None else nobody_follows
        core = Core(
            config, homeserver, machine, stores, intake, pipeline, clock, keys_age, trusted.doubt, shards, standbys
        )
        bot = RunningBot(core)
        with page.showing(bot.report) if page is not None else nullcontext():
            await bot.run(stop, manager)
        await keys_age.grow(ends=True)
        await pipeline.commit((BotStopped(sealed=1),))


@asynccontextmanager
async def records_only(config: Config, clock: Clock = wall_clock) -> AsyncIterator[Operations]:
    """Open the operations on the records while no bot runs; nothing is asked of the homeserver."""
    async with AsyncExitStack() as stack:
        lead = await leading(config, stack)
        stores = await open_stores(config, stack, clock, lead)
        pipeline = await caught_up(config, config.user, stores, clock, PlainReader())
        epoch = lead.epoch if lead is not None else None
        shards = shard_parts(config, stack, pipeline, stores.journal, stores.database, epoch)
        yield make_operations(config, stores, pipeline, clock, shards=shards)


@dataclass(frozen=True, slots=True)
class Core:
    """The objects that all parts of a running bot are made of."""

    config: Config
    homeserver: SealedHomeserver
    machine: CryptoMachine
    stores: Stores
    intake: Intake
    pipeline: Pipeline
    clock: Clock
    keys_age: KeysAge
    doubts: Doubts
    shards: ShardParts | None = None
    standbys: Callable[[], Sequence[Follows]] = nobody_follows


class RunningBot:
    """All parts of a running bot, connected."""

    def __init__(self, core: Core) -> None:
        config, homeserver, pipeline, clock = core.config, core.homeserver, core.pipeline, core.clock
        database, prefix = core.stores.database, config.bot.prefix
        self._core = core
        self._caught_up = asyncio.Event()
        texts = Catalog.load().with_prefix(prefix).with_zone(config.bot.timezone).with_clock(clock)
        speech = Speech(texts, config.policy, config.bot.language)
        self._services = Services(homeserver, database, pipeline, speech, clock, config.policy, prefix)
        self._operations = make_operations(config, core.stores, pipeline, clock, core.doubts, core.shards)
        self._upkeep = VerificationUpkeep(self._services, core.stores.identity)
        oidc = Oidc.of(config, clock)
        self._callback = CallbackServer.of(oidc, config, texts)
        self._gaps = Gaps(self._services, heard_ms=lambda: self._listener.heard_ms, level=pipeline.wake)
        self._direct = DirectRooms(self._services)
        slowed = _slowed(config, clock)
        self._lists = PolicyLists(self._services)
        self._policy_watch, policy_server = policy_parts(self._services, config)
        self._joint = core.shards.joint if core.shards is not None else None
        parts = (self._operations, self._direct, self._lists, self._gaps, self._upkeep, policy_server)
        partners = Partners(*parts, self._joint)
        handlers = all_handlers(config, self._services, core.stores, texts, oidc, partners)
        self._dispatcher = OutboxDispatcher(database, pipeline, handlers, pipeline.steady, slowed)
        self._spaces = Spaces(self._services)
        self._make_encryption()
        self._make_listener()
        self._tables_sample = TablesSample(config.place, database, pipeline, config.policy)
        self._old_events = OldEvents(database, pipeline, config.policy, clock, core.doubts)
        self._scheduler = self._make_scheduler()
        self._looker = self._make_looker()
        self._front = make_front(self._services, config, texts)
        words = partial(words_of, core.stores.journal)
        self._server_reports = ServerReports(self._services, words, _admin(core))
        keys = KeyOperations(core.machine, self._verifying, self._keys_changed)
        limit = learning_of_limit(self._dispatcher.learn_limit)
        console = {**ConsoleOperations(pipeline, database, speech, clock).by_name()}
        if (sign_ins := SignIns.of(config, clock)) is not None:
            console |= ConsoleSignIn(pipeline, database, core.stores.identity, sign_ins, clock).by_name()
        asked = telling_of_questions(self._front.counts) if self._front is not None else {}
        operations = {**self._operations.by_name(), **keys.by_name(), **limit, **asked, **console}
        self._control = Control(config.data_dir, operations)

    def _make_encryption(self) -> None:
        core, intake = self._core, self._core.intake
        homeserver, pipeline, clock = core.homeserver, core.pipeline, core.clock
        encryption, comparisons, unread = intake.encryption, intake.comparisons, intake.unread
        self._verifying = Verifying(self._services, comparisons, core.machine, self._direct)
        watch = KeysWatch(self._services, unread)
        self._keys = KeyUpkeep(core.machine, homeserver, clock, encryption.work, comparisons, watch)
        removed = RemovedMessages(homeserver, pipeline.lost_time, clock, _admin(core))
        self._reading = ReadAgain(self._services, encryption, removed, unread)

    def _make_listener(self) -> None:
        core = self._core
        self._pulse = Pulse()
        self._listener = Listener(
            self._services,
            self._gaps,
            self._spaces,
            self._lists,
            allow_invites=core.config.bot.allow_invites,
            caught_up=self._caught_up.set,
            encryption=core.intake.encryption,
            lists_changed=self._upkeep.lists_changed,
            pulse=self._pulse,
            landed=self._dispatcher.landed,
            crowded=self._dispatcher.crowded,
            elsewhere=core.shards.communities.elsewhere if core.shards is not None else nowhere_else,
        )

    def _make_scheduler(self) -> Scheduler:
        core, config, database = self._core, self._core.config, self._core.stores.database
        closings = core.stores.journal.closings
        bot = config.bot
        return Scheduler(
            database,
            core.pipeline,
            core.clock,
            config.data_dir,
            Closer(database, core.pipeline, closings, config.anchors, core.clock, self._joint),
            self._operations,
            Digester(database, core.pipeline, config.policy, core.clock, at=bot.digest, zone=bot.timezone),
            self._listener.presence,
            core.homeserver.whoami,
            behind=self._gaps.any,
        )

    def _make_looker(self) -> Looker:
        core = self._core
        return Looker(
            database=core.stores.database,
            journal=core.stores.journal,
            data_dir=core.config.data_dir,
            clock=core.clock,
            steady=core.pipeline.steady,
            pulse=self._pulse,
            heard_ms=lambda: self._listener.heard_ms,
            undecryptable=core.machine.waiting_count,
            keys_lost=lambda: core.homeserver.lost,
            doubts=core.doubts,
            tables_differ=lambda: self._tables_sample.differs,
            standbys=core.standbys,
            shards=lambda: (core.shards.unheard, core.shards.held_back) if core.shards is not None else (0, 0),
        )

    async def report(self) -> HealthReport:
        """Return how the bot is."""
        return leader_report(await self._looker.look())

    async def _keys_changed(self, brought_back: bool) -> None:
        self._keys.look_again()
        if brought_back:
            await self._listener.read_again()
            self._core.intake.unread.add_all()

    async def run(self, stop: asyncio.Event, manager: ServiceManager) -> None:
        """Run all parts until `stop` is set. Raises any error that makes it useless to continue."""
        await self._gaps.begin()
        await self._align_all()
        await run_until(stop, *self._works(manager))
        manager.stopping()
        if heard_ms := self._listener.presence.heard_ms:
            await self._core.pipeline.commit(also=partial(heartbeat.note, heard_ms=heard_ms))

    async def _align_all(self) -> None:
        """Queue a check of each lobby, and of each group where something holds: it may have changed meanwhile."""
        core = self._core
        async with core.stores.database.read() as db:
            groups = await queries.active_groups(db)
            checks = await checks_at_start(db, core.config.policy, groups)
            ended = await ended_asking(db, core.config)
        make_due = partial(outbox.make_all_due, now_ms=core.pipeline.steady())
        await core.pipeline.commit(actions=checks, also=make_due)
        for fact, told in ended:
            await core.pipeline.commit((fact,), actions=(told,))
        log.info("ready", user=core.homeserver.user, groups=len(groups))

    def _works(self, manager: ServiceManager) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return the coroutines that run concurrently."""

        async def tell_ready() -> None:
            manager.ready()
            await manager.watch(self._pulse)

        async def read_gaps() -> None:
            await self._caught_up.wait()
            await self._gaps.run()

        speaking = (
            tell_ready,
            self._dispatcher.run,
            self._scheduler.run,
            self._upkeep.run,
            self._verifying.run,
            self._reading.run,
            self._server_reports.run,
            self._spaces.run,
            self._lists.run,
            self._tables_sample.run,
            self._old_events.run,
            self._policy_watch.run,
            *(self._core.shards.works() if self._core.shards is not None else ()),
        )
        servers = (self._control, self._callback, self._front)
        return (
            self._listener.run(),
            self._keys.run(),
            self._core.keys_age.run(),
            read_gaps(),
            *(self._after_first_sync(work) for work in speaking),
            *(server.run() for server in servers if server is not None),
        )

    async def _after_first_sync(self, work: Callable[[], Awaitable[None]]) -> None:
        await self._caught_up.wait()
        await self._keys.looked.wait()  # current clients show nothing that is sent before our device is signed
        await work()


def _slowed(config: Config, clock: Clock) -> Slowed:
    """Return what is known of the homeserver's rate limit; what the bot meets is kept for the next start."""
    known = known_limit(config.data_dir)
    limited = known is not None and known.limit == "limited"
    return Slowed(known=limited, found=lambda: remember_limit(config.data_dir, "limited", clock()))


def _admin(core: Core) -> SynapseAdmin | None:
    """Return the admin API of the homeserver; None without a token for it."""
    token = core.config.secrets.admin_token
    return SynapseAdmin(core.homeserver.wire, token.get_secret_value()) if token else None


def make_operations(
    config: Config,
    stores: Stores,
    pipeline: Pipeline,
    clock: Clock,
    doubts: Doubts = unheard,
    shards: ShardParts | None = None,
) -> Operations:
    """Return the operations on the records in these stores."""
    retention = config.records.retention
    identity, tell = (stores.identity, stores.identity_key), shards.tell if shards is not None else None
    return Operations(pipeline, stores.database, config.place, config.policy, retention, clock, *identity, doubts, tell)
