"""The start of the bot: what is done with the stores before anything runs.

Rules kept here:
- The stores are opened before anything is read; opening the journal repairs a torn end.
- A database that was lost is made from the journal; one that is behind catches up, by the policy that was in force.

Left to others: making the parts that run (`app.py`), applying records (`bot/pipeline/replay.py`).
"""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.judge import CompiledRule
from moderation.model.actions.rooms import Align, AlignServers, KeepDesk, KeepLobby
from moderation.model.actions.telling import TellAbove
from moderation.model.facts import BotStarted, Fact, IdentityKeyChanged, NotSeen, PolicyChanged, PolicyServerSet
from moderation.policy import Policy
from moderation.rules.base import LONGEST_OWN_MS
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import RoomName, line
from storage import queries
from storage.backup import snapshot
from storage.database.database import Database, is_older
from storage.database.swap import drop_half_made
from storage.identity.store import IdentityStore
from storage.journal.journal import Journal
from storage.journal.level import files_differ
from storage.journal.record_keys import PersonKeys
from storage.journal.recover import EndMissing
from storage.moving.file_mark import clear_interrupted
from storage.projections import END_MISSING
from storage.scratch import clear_scratch

from .commands.dispatcher import Commands
from .commands.invocation import CommandSetup
from .commands.registry import COMMANDS
from .config.config import Config
from .config.identity_key import GivenKey, given_key
from .config.policy_digest import policy_digest
from .effects.lobby import gated_groups, lobbies_to_look_after
from .identity.asking import Asking
from .identity.factory import asking_of
from .leading.lead import Lead, leading
from .pipeline.event_reader import EventReader
from .pipeline.known_event import known_event
from .pipeline.message_text import said_at, words_of
from .pipeline.pipeline import Pipeline
from .pipeline.replay import Rooms, catch_up, rebuild
from .pipeline.unit_of_work import PipelineSettings
from .pipeline.view_cache import ViewCache
from .pipeline.watched_lists import WatchedLists
from .runtime.clock import Clock, SteadyClock
from .runtime.managed import managed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores on disk."""

    journal: Journal
    database: Database
    keys: PersonKeys
    identity: IdentityStore
    asking: Asking
    # Where the key of the identity store came from, and what is wrong with it.
    identity_key: GivenKey = field(default_factory=GivenKey)


async def open_stores(config: Config, stack: AsyncExitStack, clock: Clock, lead: Lead | None = None) -> Stores:
    """Open the stores; on PostgreSQL for the process that has the lead, which is taken first if it has not."""
    lead = await leading(config, stack, lead)
    epoch = lead.epoch if lead is not None else None
    await asyncio.to_thread(snapshot.clean, config.data_dir)
    await asyncio.to_thread(clear_scratch, config.data_dir)
    if await asyncio.to_thread(is_older, config.place):
        log.info("migrating", file=str(config.place))  # takes a while in a large deployment
    database = await Database.open(config.place, epoch=epoch)
    stack.push_async_callback(database.close)
    if epoch is not None and await asyncio.to_thread(drop_half_made, config.place, epoch):
        log.info("half_rebuilt_dropped")
    await asyncio.to_thread(clear_interrupted, config.data_dir)
    keys = await managed(stack, partial(PersonKeys.open, config.place, epoch), PersonKeys.close)
    given = await asyncio.to_thread(given_key, config)
    identity = await managed(stack, partial(IdentityStore.open, config.place, given.kek, epoch), IdentityStore.close)
    applied = int(await database.fetch(queries.get_meta, "applied") or 0)
    table = None
    if lead is not None:
        table = await managed(stack, lead.lines, lambda lines: lines.close())
    try:
        with files_differ(config.data_dir):
            journal = await managed(
                stack,
                partial(Journal.open, config.data_dir, config.origin, keys, clock(), at_least=applied, table=table),
                lambda journal: journal.close(clock()),
            )
    except EndMissing as error:
        raise Refused(
            "cli.run.end_missing", data_dir=config.data_dir, count=error.missing, last=str(error.size - 1)
        ) from error
    if journal.lost:
        log.warning("database_went_back", records=journal.lost)
    _say_if_locked(given, identity)
    return Stores(journal, database, keys, identity, await asyncio.to_thread(asking_of, config, identity), given)


def _say_if_locked(given: GivenKey, identity: IdentityStore) -> None:
    """Log that the identity store is locked. The bot runs all the same; `answerable check` says what to do."""
    state = identity.state()
    if state.lock != "open" and (given.source != "none" or state.used):
        file = str(given.path) if given.path else None
        log.warning("identity_locked", why=given.wrong or state.lock, file=file, given=state.key, needed=state.used)


def make_pipeline(
    config: Config,
    bot: UserId,
    policy: Policy,
    stores: Stores,
    clock: Clock,
    reader: EventReader,
    steady: Clock | None = None,
) -> Pipeline:
    """Return a pipeline that judges by `policy`."""
    rules, lists = tuple(map(CompiledRule.of, policy.rules)), WatchedLists()
    knowledge = ViewCache(
        bot,
        incident_ms=policy.credit.incident_window,
        window_ms=max((LONGEST_OWN_MS, *(rule.window_ms() for rule in policy.rules))),
    )
    return Pipeline(
        stores.journal,
        stores.database,
        knowledge,
        PipelineSettings(
            bot=bot,
            policy=policy,
            rules=rules,
            content=config.records.content,
            media=config.records.media == "hash",
            unreadable=config.bot.unreadable,
            alerts=config.alerts,
            plugins=config.plugins,
            policy_server=config.policy_server.server_name or "",
            sharded=bool(config.shard),
        ),
        clock,
        reader,
        Commands(
            CommandSetup(
                knowledge=knowledge,
                configured=policy,
                bot=bot,
                prefix=config.bot.prefix,
                words=partial(words_of, stores.journal),
                said_at=partial(said_at, stores.journal),
                known_event=partial(known_event, records=stores.journal),
                zone=config.bot.timezone,
                verification=stores.asking,
                rules=rules,
                language=config.bot.language,
                vkey=stores.journal.vkey,
                digest=config.bot.digest,
                console=config.console.public_url,
                lists=lists,
                policy_server=config.policy_server.server_name or "",
                policy_down_ms=config.policy_server.when_down,
                sharded=bool(config.shard),
                commands=COMMANDS,
            )
        ),
        lists,
        steady,
    )


async def caught_up(config: Config, bot: UserId, stores: Stores, clock: Clock, reader: EventReader) -> Pipeline:
    """Return a pipeline that judges by the present policy, after the database has caught up with the journal."""
    steady = SteadyClock(clock)
    await _rebuild_if_lost(stores)
    async with stores.database.read() as db:
        applied = int(await queries.get_meta(db, "applied") or 0)
        text = await queries.get_meta(db, "policy")
        rooms = Rooms({code: room for room, code in (await queries.all_rooms(db)).items()})
    before = Policy.model_validate_json(text) if text else config.policy
    pipeline = make_pipeline(config, bot, before, stores, clock, reader, steady)
    await pipeline.begin()
    if applied < stores.journal.size:
        records = await asyncio.to_thread(lambda: list(stores.journal.read(applied)))
        count = await pipeline.catch_up(lambda unit: catch_up(unit, pipeline, records, rooms))
        log.info("caught_up", records=count)
    if before != config.policy:
        pipeline = make_pipeline(config, bot, config.policy, stores, clock, reader, steady)
        await pipeline.begin()
    return pipeline


async def _rebuild_if_lost(stores: Stores) -> None:
    """Rebuild a database that was lost: it is new, but the journal is not. No action is repeated."""
    known = await stores.database.fetch(queries.get_meta, "applied")
    if known is None and stores.journal.size > 1:
        log.warning("database_made_again", records=await rebuild(stores.journal, stores.database))


async def forget_again(stores: Stores) -> None:
    """Destroy keys and identity claims of persons nobody knows any more: a backup may have brought them back."""
    async with stores.database.read() as db:
        if not await queries.get_meta(db, "erased"):
            return
        known, linked = await queries.everybody(db), await queries.persons_linked(db)
    await asyncio.to_thread(stores.keys.keep_only, known)
    await asyncio.to_thread(stores.identity.keep_only, known | linked)


async def checks_at_start(
    db: AsyncConnection, policy: Policy, groups: Iterable[RoomId]
) -> tuple[Align | AlignServers | KeepLobby, ...]:
    """Return the check of each lobby, and of those `groups` in which something holds."""
    gated = await gated_groups(db, policy)
    concerned = {*gated, *await queries.rooms_with_sanctions(db)}
    aligns = (Align(room=room, routine=True) for room in groups if room in concerned)
    servers = (AlignServers(room=room) for room in await queries.rooms_with_servers(db))
    return (*aligns, *servers, *await lobbies_to_look_after(db, gated))


async def desks_to_unite(db: AsyncConnection, policy: Policy) -> tuple[KeepDesk, ...]:
    """Return the checks of desks in communities that have one desk; needed once after a change of settings."""
    one = [each.name for each in policy.communities.named if each.desk == "one"]
    rooms = [room for name in one for room in await queries.rooms_of_community(db, name)]
    return tuple(KeepDesk(room=room) for room in rooms)


async def start_facts(policy: Policy, stores: Stores) -> tuple[Fact, ...]:
    async with stores.database.read() as db:
        before = await queries.get_meta(db, "policy")
        missing = int(await queries.get_meta(db, END_MISSING) or 0)
    facts: list[Fact] = []
    if missing:
        facts.append(NotSeen(what="cut", count=missing))
    if (torn := stores.journal.recovery) is not None:
        facts.append(NotSeen(what="torn", count=1, detail=f"{torn.file}: {torn.lost_bytes} bytes"))
    facts.append(BotStarted(version=version("answerable")))
    if was := stores.identity.changed_from:
        facts.append(IdentityKeyChanged(step="done", key=stores.identity.state().key, was=was))
    text = policy.model_dump_json(by_alias=True)
    if text != before:
        facts.append(PolicyChanged(digest=policy_digest(text), policy=text))
    return tuple(facts)


async def ended_asking(db: AsyncConnection, config: Config) -> list[tuple[PolicyServerSet, TellAbove]]:
    """Return that rooms no longer ask a policy server which was taken out of the settings, and who is told."""
    rooms = [] if config.policy_server.server_name else await queries.rooms_that_ask(db)
    return [
        (
            PolicyServerSet(room=each.room, step="off"),
            TellAbove(room=each.room, lines=(line("policy.gone", room=RoomName(each.room)),), owners=True),
        )
        for each in rooms
    ]
