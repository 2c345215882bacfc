"""The process of the policy server: its parts, put together, until it is told to stop.

Rules kept here:
- Nothing is answered before the tables were looked at once, or it is known that they cannot be.
- At the end, requests under way are answered and what waits is written.
- The bot is told at once that a refusal waits. It looks each second anyway.

Left to others: the parts; the command (`bot/cli/policy.py`).
"""

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from bot.config.config import Config
from bot.config.oidc import listen_address
from bot.config.policy_digest import policy_digest
from bot.runtime.asking import ask_bot
from bot.runtime.clock import Clock, wall_clock
from bot.runtime.works import meanwhile
from bot.texts.beforehand import refused_words
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.judge.beforehand import Refusal
from moderation.values.errors import Refused
from storage.journal.disk import replace_atomically
from storage.policy_server.spool import RULES_FILE
from storage.policy_server.store import PolicyStore
from storage.policy_server.tables import FOLDER

from .answering import Answering, Say, Words
from .bot_tables import BotTables
from .figures import PolicyFigures
from .judging import BeforehandJudge, Judgement, new_knowledge
from .others import OtherServers
from .own_keys import load_keys
from .rooms import PolicyRooms
from .server import PolicyPages

log = structlog.get_logger()

POKE = "policy-refusals"  # the operation of the bot's socket
MOST_CONNECTIONS = 1_000
_KEEP_ALIVE_S = 60.0
_LAST_WORDS_S = 5.0  # for what is under way at the end
_TIDY_EACH_S = 5.0
_POKE_EACH_S = 0.1


async def serve(
    config: Config,
    stop: asyncio.Event,
    listening: asyncio.Event,
    clock: Clock = wall_clock,
    bound: socket.socket | None = None,
) -> None:
    """Serve until told to stop, at `bound` or where the configuration says. Raises `OSError` if the address is taken.

    Raises `Invalid` if its database or keys cannot be used.
    """
    settings = config.policy_server
    assert settings.server_name is not None
    own = load_keys(config.data_dir / FOLDER)
    store = PolicyStore.open(config.data_dir, clock())
    digest = policy_digest(config.policy.model_dump_json(by_alias=True))
    replace_atomically(config.data_dir / FOLDER / RULES_FILE, f"{digest}\n".encode(), 0o600)
    knowledge, figures = new_knowledge(config), PolicyFigures(clock)
    tables = BotTables(config.place, settings.user, knowledge, clock)
    judge = BeforehandJudge(config, tables, knowledge, clock)
    async with OtherServers.open(config, own, store, clock) as others:
        rooms = PolicyRooms(tables, store, others, clock)
        words, say = _words(config)
        answering = Answering(
            store,
            judge,
            others.keys,
            own.events,
            words,
            say,
            figures,
            clock,
            settings.within,
            config.records.content,
            when_down_ms=settings.when_down,
        )
        beside = others.pages(rooms).answer
        pages = PolicyPages(
            settings.server_name, own.events.public, answering, rooms, others.keys, figures, beside, say
        )
        async with meanwhile(tables.run(), _tidied(store, tables, clock), _poked(config, figures)):
            await rooms.begin()
            await tables.looked.wait()
            async with meanwhile(rooms.run()), _listening(pages, config, bound):
                listening.set()
                await stop.wait()
            await answering.settle()
    await tables.close()
    await asyncio.to_thread(store.close)


def _words(config: Config) -> tuple[Words, Say]:
    catalog = Catalog.load().with_prefix(config.bot.prefix).with_zone(config.bot.timezone)
    speech = Speech(catalog, config.policy, config.bot.language)

    def words(refusal: Refusal, found: Judgement, recorded: bool) -> str:
        rules = (each.settings for each in found.rules)
        return refused_words(catalog, speech, refusal, found.language, rules, recorded=recorded)

    def say(key: str) -> str:
        return catalog.text(config.bot.language, f"beforehand.error.{key}")

    return words, say


@contextlib.asynccontextmanager
async def _listening(pages: PolicyPages, config: Config, bound: socket.socket | None) -> AsyncIterator[None]:
    runner = web.ServerRunner(
        _PolicyHttp(pages.handle, access_log=None, keepalive_timeout=_KEEP_ALIVE_S), shutdown_timeout=_LAST_WORDS_S
    )
    await runner.setup()
    try:
        host, port = listen_address(config.policy_server.listen)
        await (web.SockSite(runner, bound) if bound else web.TCPSite(runner, host, port, backlog=1_024)).start()
        log.info("policy_listening", host=host, port=port)
        yield
    finally:
        await runner.cleanup()


class _PolicyHttp(web.Server):
    """A server with a bounded number of connections."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection; refuse it if there are too many."""
        super().connection_made(handler, transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()


async def _tidied(store: PolicyStore, tables: BotTables, clock: Clock) -> None:
    """Remove what is no longer needed, while there is any; go on behind what the bot has recorded."""
    while True:
        try:
            await store.continue_after(tables.recorded)
            while await store.purge(clock(), tables.recorded):
                pass
            await store.forget()
        except sqlite3.Error as error:
            log.warning("policy_not_tidied", why=str(error))
        await asyncio.sleep(_TIDY_EACH_S)


async def _poked(config: Config, figures: PolicyFigures) -> None:
    """Tell the bot that refusals wait."""
    while True:
        await figures.noted.wait()
        figures.noted.clear()
        with contextlib.suppress(Refused, OSError):  # it is down, and reads them when it starts
            await ask_bot(config.data_dir, POKE, {})
        await asyncio.sleep(_POKE_EACH_S)
