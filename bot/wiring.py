"""Puts the parts together and runs them: the only place that names concrete adapters.

Rules this module keeps, in this order on start: the journal is opened (which mends a torn end) and the database
migrated; what the journal has and the database has not is caught up, by the policy that was in force; the start, and
a change of policy, are recorded; only then is the homeserver asked anything. Nothing is sent before the first answer
of `/sync` has been taken, so that rooms we made and could not record are recognised. On stop: what flies lands, the
stop is recorded, the journal is signed and closed."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog

from moderation.actions import (
    Action,
    Align,
    EditCard,
    Enter,
    KeepDesk,
    Kick,
    Offer,
    PostCard,
    Redact,
    Say,
    Tell,
    TellDesk,
    Unban,
)
from moderation.facts import BotStarted, BotStopped, Fact, NotSeen, PolicyChanged
from moderation.ids import UserId
from moderation.judge import CompiledRule
from moderation.policy import Policy
from moderation.rules.compile import compile_rule, longest_window_ms
from storage import views
from storage.database import Database
from storage.identity import PersonKeys
from storage.records.journal import Journal

from .act import Actor, Handler
from .catch_up import Rooms, catch_up
from .clock import Clock, wall_clock
from .commands.respond import Commands
from .config import Config
from .desk import Desk
from .homeserver import Homeserver
from .homeserver_login import Session
from .joining import Joiner
from .knowledge import Knowledge
from .listen import Listener
from .messages.catalog import Catalog
from .notify import Notifier
from .pipeline import Pipeline
from .reconcile import Reconciler
from .schedule import Scheduler
from .simple_acts import SimpleActs
from .speech import Speech
from .turn import Settings

log = structlog.get_logger()


@dataclass(slots=True)
class Wake:
    """Wakes whoever may have something to do; filled in once they exist."""

    sleepers: tuple[Callable[[], None], ...] = ()

    def __call__(self) -> None:
        for wake in self.sleepers:
            wake()


@dataclass(frozen=True, slots=True)
class Stores:
    """What is on disk."""

    journal: Journal
    database: Database


async def serve(config: Config, session: Session, stop: asyncio.Event, clock: Clock = wall_clock) -> None:
    """Run the bot until `stop` is set. Raises what makes it useless to go on."""
    async with AsyncExitStack() as stack:
        stores = await _open_stores(config, stack, clock)
        homeserver = Homeserver(session)
        stack.push_async_callback(homeserver.close)
        wake = Wake()
        pipeline = await _caught_up(config, session.user, stores, clock, wake)
        await _run(config, homeserver, stores, pipeline, clock, wake, stop)
        await pipeline.commit((BotStopped(),))


async def _open_stores(config: Config, stack: AsyncExitStack, clock: Clock) -> Stores:
    database = await Database.open(config.data_dir)
    stack.push_async_callback(database.close)
    keys = await asyncio.to_thread(PersonKeys.open, config.data_dir)
    stack.push_async_callback(asyncio.to_thread, keys.close)
    journal = await asyncio.to_thread(Journal.open, config.data_dir, config.origin, keys, clock())

    async def close_journal() -> None:
        await asyncio.to_thread(journal.close, clock())

    stack.push_async_callback(close_journal)
    return Stores(journal, database)


def make_pipeline(
    config: Config, bot: UserId, policy: Policy, stores: Stores, clock: Clock, wake: Callable[[], None]
) -> Pipeline:
    """A pipeline that judges by `policy`."""
    rules = tuple(CompiledRule(settings, compile_rule(settings)) for settings in policy.rules)
    knowledge = Knowledge(
        bot,
        incident_ms=policy.credit.incident_window,
        window_ms=max(longest_window_ms(policy.rules), policy.tiers.slow_every),
    )
    return Pipeline(
        stores.journal,
        stores.database,
        knowledge,
        Settings(bot=bot, policy=policy, rules=rules, content=config.records.content),
        clock,
        Commands(knowledge, policy, bot, config.bot.prefix),
        wake,
    )


async def _caught_up(config: Config, bot: UserId, stores: Stores, clock: Clock, wake: Wake) -> Pipeline:
    """A pipeline that judges by the present policy, over a database that has everything the journal has."""
    async with stores.database.read() as db:
        applied = int(await views.get_meta(db, "applied") or 0)
        text = await views.get_meta(db, "policy")
        rooms = Rooms({code: room for room, code in (await views.all_rooms(db)).items()})
    before = Policy.model_validate_json(text) if text else config.policy
    pipeline = make_pipeline(config, bot, before, stores, clock, wake)
    await pipeline.begin()
    if applied < stores.journal.size:
        records = await asyncio.to_thread(lambda: list(stores.journal.read(applied)))
        count = await pipeline.catch_up(lambda turn: catch_up(turn, pipeline, records, rooms))
        log.info("caught_up", records=count)
    if before != config.policy:
        pipeline = make_pipeline(config, bot, config.policy, stores, clock, wake)
        await pipeline.begin()
    await pipeline.commit(_start_facts(config.policy, text, stores.journal))
    return pipeline


def _start_facts(policy: Policy, before: str | None, journal: Journal) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    if (torn := journal.recovery) is not None:
        facts.append(NotSeen(what="torn", count=1, detail=f"{torn.file}: {torn.lost_bytes} bytes"))
    facts.append(BotStarted(version=version("answerable")))
    text = policy.model_dump_json(by_alias=True)
    if text != before:
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        facts.append(PolicyChanged(digest=digest, policy=text))
    return tuple(facts)


async def _run(
    config: Config,
    homeserver: Homeserver,
    stores: Stores,
    pipeline: Pipeline,
    clock: Clock,
    wake: Wake,
    stop: asyncio.Event,
) -> None:
    speech = Speech(Catalog.load(), config.policy, config.bot.language)
    actor = Actor(stores.database, pipeline, _handlers(config, homeserver, stores, pipeline, speech, clock), clock)
    scheduler = Scheduler(stores.database, pipeline, clock, config.data_dir)
    wake.sleepers = (actor.wake, scheduler.wake)
    caught_up = asyncio.Event()
    listener = Listener(
        homeserver,
        stores.database,
        pipeline,
        clock,
        allow_invites=config.bot.allow_invites,
        caught_up=caught_up.set,
    )

    async def after_first_sync(work: Callable[[], Awaitable[None]]) -> None:
        await caught_up.wait()
        await work()

    async with stores.database.read() as db:
        groups = await views.active_groups(db)
    await pipeline.commit(actions=tuple(Align(room=room) for room in groups))
    log.info("ready", user=homeserver.user, groups=len(groups))
    await _until(stop, listener.run(), after_first_sync(actor.run), after_first_sync(scheduler.run))


async def _until(stop: asyncio.Event, *works: Coroutine[Any, Any, None]) -> None:
    """Run all until `stop` is set, or one of them fails: then that error is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    asked = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, asked}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {asked}:
            task.result()
    finally:
        for task in (*tasks, asked):
            task.cancel()
        await asyncio.gather(*tasks, asked, return_exceptions=True)


def _handlers(
    config: Config, homeserver: Homeserver, stores: Stores, pipeline: Pipeline, speech: Speech, clock: Clock
) -> Mapping[type[Action], Handler]:
    database, prefix = stores.database, config.bot.prefix
    notifier = Notifier(homeserver, database, pipeline, speech, prefix)
    desk = Desk(homeserver, database, pipeline, speech, config.policy, clock, prefix)
    simple = SimpleActs(homeserver)
    joiner = Joiner(
        homeserver,
        database,
        pipeline,
        speech,
        clock,
        retention_ms=config.records.retention,
        content=config.records.content,
        prefix=prefix,
    )
    return {
        Redact: simple.redact,
        Kick: simple.kick,
        Unban: simple.unban,
        Align: Reconciler(homeserver, database, pipeline).handle,
        Enter: joiner.enter,
        KeepDesk: desk.keep,
        PostCard: desk.post,
        EditCard: desk.edit,
        Offer: desk.offer,
        Say: notifier.say,
        Tell: notifier.tell,
        TellDesk: notifier.tell_desk,
    }
