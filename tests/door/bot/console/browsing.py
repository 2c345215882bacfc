"""A console on the data of an offline bot, served over real HTTP, and browsers that visit it.

`Browser` sends what a browser would: its own `Sec-Fetch-Site`, and the cookies that it was given.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import ClientSession, CookieJar
from yarl import URL

from bot import app
from bot.admin.console import ConsoleOperations
from bot.admin.control_socket import Control
from bot.config.config import parse_config
from bot.console.app import serve
from bot.console.sessions import LINK_MS, make_link
from bot.runtime.asking import SOCKET
from bot.runtime.tokens import hashed, new_token
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.model.facts import ConsoleLinkGiven
from moderation.values.ids import NO_USER, UserId
from tests.door.offline import CONFIG, RULES, Offline
from tests.theatre.served import until

OWN = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Answered:
    """An answer to a browser."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def words(self) -> str:
        """The words of a page, without its markup."""
        return " ".join(re.sub(r"<[^>]*>", " ", self.text).split())


class Browser:
    """A browser at one console."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    def cookies(self) -> dict[str, str]:
        """Return what the browser holds."""
        return {cookie.key: cookie.value for cookie in self._session.cookie_jar}

    def take(self, cookies: dict[str, str]) -> None:
        """Put into the browser what another one held."""
        self._session.cookie_jar.update_cookies(cookies, URL(self.url))

    async def get(self, path: str, **headers: str) -> Answered:
        """Open a page."""
        return await self._ask("GET", path, {"Sec-Fetch-Site": "none", **headers})

    async def file(self, path: str) -> bytes:
        """Take a file."""
        async with self._session.get(self.url + path, headers={"Sec-Fetch-Site": "none"}) as answer:
            assert answer.status == 200
            return await answer.read()

    async def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answered:
        """Press a button."""
        return await self._ask("POST", path, {**OWN, **headers}, form or {})

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], form: dict[str, str] | None = None
    ) -> Answered:
        async with self._session.request(
            method, self.url + path, headers=headers, data=form, allow_redirects=False
        ) as answer:
            return Answered(answer.status, dict(answer.headers), await answer.text())


@dataclass
class ServedConsole:
    """A console that is being served."""

    bot: Offline
    url: str

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """Open a browser with nobody in it."""
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
            yield Browser(session, self.url)

    def link(self, user: UserId = NO_USER) -> str:
        """Make a link for an operator, as `answerable console` does; return its path."""
        return f"/enter/{make_link(self.bot.config.data_dir, 'root', user, self.bot.time())}"

    @asynccontextmanager
    async def operator(self, user: UserId = NO_USER) -> AsyncIterator[Browser]:
        """Open a browser with an operator in it."""
        async with self.browser() as browser:
            assert (await browser.post(self.link(user))).status == 303
            yield browser

    async def ticket(self, user: UserId) -> str:
        """Give somebody a link, as `!console` does; return what it ends in."""
        ticket, bot = new_token(), self.bot
        room, until_ms = await bot.direct(user), bot.time() + LINK_MS
        await bot.pipeline.commit((ConsoleLinkGiven(room=room, until=until_ms, subject=user, ticket=hashed(ticket)),))
        return ticket

    @asynccontextmanager
    async def person(self, user: UserId) -> AsyncIterator[Browser]:
        """Open a browser with somebody in it who came by a link from chat; the bot runs at that moment."""
        async with self.browser() as browser, open_door(self.bot):
            assert (await browser.post(f"/enter/{await self.ticket(user)}")).status == 303
            yield browser


@asynccontextmanager
async def open_door(bot: Offline) -> AsyncIterator[None]:
    """Let the bot answer at its socket, as it does while it runs."""
    socket_file = bot.config.data_dir / SOCKET
    if socket_file.exists():  # it does already
        yield
        return
    speech = Speech(Catalog.load(), bot.config.policy, "en")
    console = ConsoleOperations(bot.pipeline, bot.stores.database, speech, bot.time)
    operations = app.make_operations(bot.config, bot.stores, bot.pipeline, bot.time)
    task = asyncio.create_task(Control(bot.config.data_dir, {**operations.by_name(), **console.by_name()}).run())
    try:
        await until(partial(asyncio.to_thread, lambda: socket_file.exists() or None), "the bot at its door")
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def served_console(bot: Offline, settings: str = RULES, of_bot: str = "") -> AsyncIterator[ServedConsole]:
    """Serve a console on the data of `bot`; `settings` as of the bot, `of_bot` in its own table."""
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    text = f'{CONFIG}{of_bot}[console]\nlisten = "127.0.0.1:{port}"\n{settings}'
    config = parse_config(bot.config.file, text, {})
    stop, listening = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve(config, stop, listening, bot.time, bound))
    waiting = asyncio.create_task(listening.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if task.done():
            task.result()
        yield ServedConsole(bot, f"http://127.0.0.1:{port}")
    finally:
        stop.set()
        await task
