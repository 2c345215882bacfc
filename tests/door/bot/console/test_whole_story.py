"""From `!console` in a chat to a decision in the browser and back: the bot, a homeserver, the console and HTTP."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, CookieJar

from bot.console.app import serve
from bot.runtime.asking import ask_bot
from moderation.model.facts import BotStarted, CaseDecided, ConsoleCommand, ConsoleEnded, ConsoleOpened
from moderation.values.errors import Refused
from tests.door.bot.console.browsing import Browser
from tests.door.bot.console.test_deciding import form
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, open_direct, told
from tests.theatre.served import RULES, ServedBot, like, until


@asynccontextmanager
async def scene_with_console(theatre: Theatre) -> AsyncIterator[tuple[Scene, str]]:
    """Serve a console beside the bot of a scene; yield its address, too."""
    bound = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{bound.getsockname()[1]}"
    scene = await theatre.scene(
        members=2, rules=RULES + f'[console]\npublic_url = "http://{address}"\nlisten = "{address}"\n'
    )
    stop, listening = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve(scene.bot.config, stop, listening, scene.bot.clock, bound))
    await listening.wait()
    try:
        yield scene, f"http://{address}"
    finally:
        stop.set()
        await task


@asynccontextmanager
async def browser_of(person: Client, bot: ServedBot, url: str) -> AsyncIterator[Browser]:
    """Ask for a link in chat, and open it."""
    await person.send_text(await open_direct(person, bot), "!console")
    word = await told(person, bot, re.compile(rf"{re.escape(url)}/enter/[0-9a-f]+"))
    link = re.search(r"/enter/[0-9a-f]+", word.body)
    assert link is not None
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        browser = Browser(session, url)
        assert "Open the console" in (await browser.get(link[0])).words
        assert (await browser.post(link[0])).status == 303
        yield browser


async def is_decided(scene: Scene, browser: Browser, n: int) -> None:
    """Let a manager decide a case in the browser, by two presses."""
    asked = await form(browser, "uphold", n)
    assert (await browser.post(f"/cases/{n}/decide", asked)).status == 200
    assert (await browser.post(f"/cases/{n}/decide", {**asked, "sure": "1"})).status == 303


async def test_a_case_is_decided_in_the_browser_and_everybody_learns_of_it_as_by_chat(theatre: Theatre) -> None:
    async with scene_with_console(theatre) as (scene, url):
        bot, (manager,), (ann, ben) = scene.bot, scene.managers, scene.members
        await ann.send_text(scene.room, "forbidden 1")
        card = await scene.card(manager, 1)
        async with browser_of(manager, bot, url) as browser:
            assert "forbidden 1" in (await browser.get("/cases/1")).words
            await is_decided(scene, browser, 1)
            await told(ann, bot, like("notice.message.upheld", n="1"))
            await scene.wait_desk(
                manager,
                lambda seen: (
                    seen.content.get("m.relates_to", {}).get("event_id") == card.id
                    and seen.content["m.relates_to"]["rel_type"] == "m.replace"
                    and manager.user in seen.body
                ),
                "the card changed",
            )
            numbered = dict(bot.numbered_facts())
            [decided] = bot.facts(CaseDecided)
            command = numbered[decided.on]
            assert isinstance(command, ConsoleCommand)
            assert (decided.by, command.subject) == (manager.user, manager.user)
            assert isinstance(numbered[command.start], ConsoleOpened)
            # The bot stops: all can be read, nothing is decided.
            await ben.send_text(scene.room, "forbidden 2")
            await scene.card(manager, 2)
            await bot.stop()
            asked = await form(browser, "uphold", 2, sure="1")
            refused = await browser.post("/cases/2/decide", asked)
            assert (refused.status, "does not run" in refused.words) == (503, True)
            assert len(bot.facts(CaseDecided)) == 1
            bot.start()
            await bot.until(lambda: len(bot.facts(BotStarted)) == 2, "the bot")
            await until(lambda: _answers(bot), "the bot at its door")
            assert (await browser.post("/cases/2/decide", asked)).status == 303
            assert (await browser.post("/leave")).status == 200
            assert [(fact.why, fact.subject) for fact in bot.facts(ConsoleEnded)] == [("left", manager.user)]
            assert (await browser.get("/cases")).status == 403


async def _answers(bot: ServedBot) -> bool | None:
    """Return True once the bot answers at its socket: it refuses a session that nobody has."""
    try:
        await ask_bot(bot.data_dir, "command", {"session": "", "words": "help"})
    except Refused as refused:
        return True if refused.key == "console.session-over" else None
    return None


async def test_a_bot_killed_while_it_decides_has_decided_once_or_not_at_all(theatre: Theatre) -> None:
    async with scene_with_console(theatre) as (scene, url):
        bot, (manager,), (ann, _) = scene.bot, scene.managers, scene.members
        await ann.send_text(scene.room, "forbidden 1")
        await scene.card(manager, 1)
        async with browser_of(manager, bot, url) as browser:
            asked = await form(browser, "uphold", 1, sure="1")
            await bot.idle()
            await bot.stop()
            program = bot.start_apart()
            await until(lambda: _answers(bot), "the bot at its door")
            pressed = asyncio.create_task(browser.post("/cases/1/decide", asked))
            await asyncio.sleep(0)
            program.kill()
            answered = await pressed
            await asyncio.to_thread(program.wait)
            assert answered.status in (303, 503)
            bot.start()
            await until(lambda: _answers(bot), "the bot at its door")
            again = await browser.post("/cases/1/decide", asked)
            assert again.status in (303, 409)
            if answered.status == 303:
                assert again.status == 409
        await told(ann, bot, like("notice.message.upheld", n="1"))
        assert [fact.n for fact in bot.facts(CaseDecided)] == [1]
