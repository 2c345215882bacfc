"""The console of a world, served in this process, and people who come in by a link."""

import asyncio
import re
from types import TracebackType
from typing import Any, Self

from playwright.async_api import Page, expect

from bot.console.app import serve
from bot.console.sessions import make_link
from moderation.values.ids import UserId
from tests.people.client import Client
from tests.theatre.scene import open_direct, told
from tests.theatre.served import ServedBot


class Console:
    """A console that is served as long as the block lasts, by the clock of its bot."""

    def __init__(self, bot: ServedBot) -> None:
        self._bot = bot
        self._config = bot.config
        self._cookies: dict[str, list[Any]] = {}
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self.url = f"http://{bot.config.console.listen}"

    async def __aenter__(self) -> Self:
        listening = asyncio.Event()
        self._serving = asyncio.create_task(serve(self._config, self._stop, listening, self._bot.clock))
        waiting = asyncio.create_task(listening.wait())
        await asyncio.wait({self._serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._serving.done():
            self._serving.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        assert self._serving is not None
        await self._serving

    async def enter(self, page: Page, operator: str = "") -> None:
        """Come in as an operator, by a link as `answerable console` prints it."""
        ticket = make_link(self._config.data_dir, "root", UserId(operator), self._bot.clock())
        await self._follow(page, f"{self.url}/enter/{ticket}")

    async def enter_from_chat(self, page: Page, person: Client) -> None:
        """Come in as somebody who runs a room, by the link that the bot gives in a direct room; once for all visits."""
        if cookies := self._cookies.get(person.user):
            await page.context.add_cookies(cookies)
            await page.goto(self.url)
            return
        after = person.position
        await person.send_text(await self._direct(person), "!console")
        said = await told(person, self._bot, re.compile(re.escape(f"{self.url}/enter/")), after)
        link = re.search(r"http:\S+/enter/[0-9a-f]+", said.body)
        assert link is not None
        await self._follow(page, link[0])
        self._cookies[person.user] = [*await page.context.cookies()]

    async def _direct(self, person: Client) -> str:
        known = self._bot.rows("SELECT room FROM rooms WHERE direct_with = ?", person.user)
        return str(known[0][0]) if known else await open_direct(person, self._bot)

    async def _follow(self, page: Page, link: str) -> None:
        await page.goto(link)
        await page.locator("main").get_by_role("button").click()
        await page.wait_for_url(lambda url: "/enter/" not in url)

    async def show(self, page: Page, address: str) -> None:
        """Open a page, and wait until it no longer asks to be loaded again because work goes on."""
        await page.goto(f"{self.url}{address}")
        again = page.locator("meta[http-equiv=refresh]")
        while await again.count():
            await expect(again).to_have_count(0)  # which is so, too, while the next page is still coming
            await page.wait_for_load_state()

    async def reveal(self, page: Page) -> bool:
        """Give the reason for which a page asks before it shows what people wrote; tell whether it asks for one."""
        asks = page.locator("main form[action$='/read']", has=page.locator("[name=reason]"))
        if not await asks.count():
            return False
        for closed in await page.locator("details:not([open]):has(form[action$='/read']) > summary").all():
            await closed.click()
        await asks.get_by_role("textbox").fill("somebody asked me to look at it")
        await asks.get_by_role("button").click()
        await asks.wait_for(state="detached")
        return True
