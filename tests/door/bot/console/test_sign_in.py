"""Coming into the console by a login at an issuer: for whom it was proved before, in the browser that began it."""

import asyncio
import html
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from aiohttp import CookieJar

from bot.config.identity_key import VARIABLE
from bot.console.app import serve
from bot.console.sessions import make_link, operator_sessions, use_link
from moderation.model.facts import ConsoleLinkGiven, ConsoleOpened
from moderation.values.ids import NO_USER, UserId
from storage.identity.sealing import Kek
from tests.door.bot.console.browsing import Browser
from tests.issuer.issuer import Browser as IssuersBrowser
from tests.issuer.issuer import RealIssuer, client
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, direct_room, open_direct, told
from tests.theatre.served import RULES, like

pytestmark = pytest.mark.usefixtures("quick_logins")

WHO, OTHER = "max.secretname", "somebody.else"  # at the issuer


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Provide the socket at which the console is served."""
    monkeypatch.setenv(VARIABLE, Kek(b"k" * 32).text)
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def url(bound: socket.socket) -> str:
    """Return the address of the console."""
    return f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def issuer(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    """Provide an issuer at which the bot is known, with the console as the place to come back to."""
    own = client("bot", f"{url}/sign-in/club", token_endpoint_auth_method="none")
    del own["client_secret"]
    started = RealIssuer.start(tmp_path_factory.mktemp("issuer"), own)
    yield started
    started.stop()


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Browser]:
    """Open a browser with nobody in it."""
    async with aiohttp.ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield Browser(session, url)


@asynccontextmanager
async def served(
    theatre: Theatre, issuer: RealIssuer, url: str, bound: socket.socket, more: str = "", bot: str = ""
) -> AsyncIterator[Scene]:
    """Serve a bot that knows the issuer, and its console; `more`, `bot`: further lines of `[console]` and `[bot]`."""
    club = f'[[oidc]]\nname = "club"\ntitle = "The club"\nissuer = "{issuer.url}"\nclient_id = "bot"\n'
    console = f'[console]\npublic_url = "{url}"\nlisten = "{urlsplit(url).netloc}"\n{more}'
    scene = await theatre.scene(f"{RULES}\n{club}{console}", bot=bot)
    stop, listening = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve(scene.bot.config, stop, listening, scene.bot.clock, bound))
    await listening.wait()
    try:
        yield scene
    finally:
        stop.set()
        await task


async def is_verified(person: Client, scene: Scene, who: str) -> None:
    """Let somebody prove in chat who they are at the issuer."""
    room = await open_direct(person, scene.bot)
    await person.send_text(room, "!verify oidc")
    asked = await told(person, scene.bot, like("oidc.device"))
    link, code = re.search(r"https?://[^\s,。]+", asked.body), re.search(r"\b[A-Z]{4}-[A-Z]{4}\b", asked.body)
    assert link is not None and code is not None
    async with IssuersBrowser() as elsewhere:
        await elsewhere.enter_code(link[0], code[0], who)
    await told(person, scene.bot, like("verify.done.oidc"))


async def logged_in(at: Browser, who: str, ticket: str = "") -> dict[str, str]:
    """Begin a login in the console, and log in at the issuer. Returns what the browser brings back."""
    begun = await at.post("/sign-in/club/begin", {"ticket": ticket} if ticket else {})
    link = re.search(r'<a class="button" href="([^"]+)"', begun.text)
    assert link is not None, begun.words
    async with IssuersBrowser() as elsewhere:
        address, page = await elsewhere.log_in(html.unescape(link[1]), who)
    assert "Open the console" in page
    return dict(parse_qsl(urlsplit(address).query))


async def test_who_was_verified_by_a_login_comes_in_by_it(
    theatre: Theatre, issuer: RealIssuer, url: str, bound: socket.socket
) -> None:
    async with served(theatre, issuer, url, bound) as scene, browser(url) as own, browser(url) as other:
        bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
        assert 'href="/enter"' in (await own.get("/cases")).text
        assert "The club" in (await own.get("/enter")).words
        await ann.send_text(scene.room, "forbidden 1")
        await scene.card(manager, 1)
        brought = await logged_in(own, WHO)
        unknown = await own.post("/sign-in/club", brought)
        assert (unknown.status, "!verify oidc" in unknown.words) == (400, True)
        await is_verified(manager, scene, WHO)
        brought = await logged_in(own, WHO)
        assert (await other.post("/sign-in/club", brought)).status == 400, "in another browser"
        assert (await own.post("/sign-in/club", brought)).status == 400, "once"
        brought = await logged_in(own, WHO)
        assert (await own.post("/sign-in/club", brought)).status == 303
        page = await own.get("/cases/1")
        assert (page.status, manager.user in page.words, "forbidden 1" in page.words) == (200, True, True)
        assert [(fact.subject, fact.link) for fact in bot.facts(ConsoleOpened)] == [(manager.user, -1)]
        assert bot.facts(ConsoleLinkGiven) == []
        assert (await other.post("/sign-in/club", await logged_in(other, OTHER))).status == 400
        assert (await other.get("/cases")).status == 403
        for path in ("/sign-in/none", "/sign-in/none/begin"):
            assert (await other.post(path)).status == 404
        await manager.leave(await direct_room(manager, bot))
        left = "SELECT 1 FROM members WHERE user = ? AND membership = 'leave'"
        await bot.until(lambda: bot.rows(left, manager.user), "the manager gone")
        assert (await own.get("/cases")).status == 403


@pytest.mark.long
async def test_operators_log_in_at_the_issuer_that_they_need(
    theatre: Theatre, issuer: RealIssuer, url: str, bound: socket.socket
) -> None:
    (operator,) = await theatre.people("operator")
    need, named = 'operators_need = "club"\n', f'operators = ["{operator.user}"]'
    async with served(theatre, issuer, url, bound, need, named) as scene, browser(url) as own:
        bot, (ann,) = scene.bot, scene.members
        data, now = bot.config.data_dir, bot.clock()
        before = use_link(data, make_link(data, "root", NO_USER, now), now)
        async with aiohttp.ClientSession(cookies={"answerable": before}) as old:
            assert (await Browser(old, url).get("/cases")).status == 403, "a session without a login"
        link = make_link(data, "root", NO_USER, now)
        assert "Operators also log in at The club" in (await own.get(f"/enter/{link}")).words
        assert (await own.post(f"/enter/{link}")).status == 403
        brought = await logged_in(own, WHO, link)
        assert "no operator" in (await own.post("/sign-in/club", brought)).words
        await is_verified(ann, scene, OTHER)
        brought = await logged_in(own, OTHER, link)
        assert "no operator" in (await own.post("/sign-in/club", brought)).words, "somebody verified, and no operator"
        await is_verified(operator, scene, WHO)
        other = make_link(data, "root", UserId("@other:example.org"), now)
        assert (await own.post("/sign-in/club", await logged_in(own, WHO, other))).status == 403, "for another operator"
        assert (await own.post("/sign-in/club", await logged_in(own, WHO, link))).status == 303
        assert (await own.get("/standing")).status == 200
        assert [each.visitor.user for each in operator_sessions(data, bot.clock())][-1] == operator.user
        assert (await own.post("/sign-in/club", await logged_in(own, WHO, other))).status == 403
        assert (await own.get(f"/enter/{link}")).status == 410, "once"
