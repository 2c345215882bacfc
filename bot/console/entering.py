"""Coming in and leaving: links, sessions, cookies.

Rules kept here:
- A link is used by pressing a button: programs that show previews of links fetch them, and must not use them up.
- The cookie can be read by no script and is sent by no other site. Where the page is reached by https, only by that.
- Where operators also log in at an issuer, their link waits in a cookie of that browser and is used up after the login.
"""

import asyncio
import contextlib
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.runtime.tokens import hashed, new_token
from bot.texts.catalog import LANGUAGES
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries

from . import language
from .asking import ask
from .forms import form_of
from .sessions import LONGEST_MS, Visitor, end_session, named_operator, operator_of, use_link, whose_link
from .site import Site
from .visit import Bad, NoPage

COOKIE = "answerable"
SIGN_IN_COOKIE = "answerable-sign-in"  # of a browser that went to an issuer
LINK_COOKIE = "answerable-link"  # the operator's link with which it went there
SIGN_IN_S = 600
_QUERY = ("state", "code", "iss", "error")  # what a browser brings back


async def visitor_of(site: Site, request: web.Request, db: AsyncConnection, now_ms: int) -> Visitor | None:
    """Return who is behind the cookie of a request; None if nobody is in."""
    token = request.cookies.get(_cookie_name(site, request), "")
    if not (key := hashed(token)):
        return None
    need = site.config.console.operators_need
    operator = await asyncio.to_thread(operator_of, site.data_dir, token, now_ms, need=need)
    return operator or await _person(site, db, key, now_ms)


async def _person(site: Site, db: AsyncConnection, key: str, now_ms: int) -> Visitor | None:
    """Return the person whose session this is, while it is open and they are in the direct room it belongs to."""
    session = await queries.console_session(db, key)
    if session is None or not session.is_open(now_ms):
        return None
    if not await queries.are_alone(db, session.room, session.user, site.bot):
        return None
    if not site.last_used.use(key, now_ms):
        with contextlib.suppress(Bad, Refused):  # if the bot cannot be asked, it ends by its time
            await ask(site, "console-end", key=key, why="idle")
        return None
    return Visitor("person", key, session.user, session.user, session.at)


def token_of(site: Site, request: web.Request) -> str:
    """Return what the browser holds, to be handed on to the bot."""
    return request.cookies.get(_cookie_name(site, request), "")


def _cookie_name(site: Site, request: web.Request) -> str:
    # Browsers keep a cookie for https alone from a page that came without it, on this machine, only in part.
    return f"__Host-{COOKIE}" if _is_https(site, request) else COOKIE


def _is_https(site: Site, request: web.Request) -> bool:
    return site.guard.origin(request).startswith("https:")


def issuers_of(site: Site) -> dict[str, str]:
    """Return the issuers at which one can log in, with the names that people read."""
    config = site.config
    return {each.name: each.shown for each in config.oidc} if config.console.public_url is not None else {}


class Entering:
    """The pages for those who are not in yet, and for those who leave."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, app: web.Application) -> None:
        """Add the addresses."""
        app.router.add_get("/enter/{ticket}", self._show)
        app.router.add_post("/enter/{ticket}", self._enter)
        app.router.add_post("/leave", self._leave)
        app.router.add_get("/enter", self._choose)
        app.router.add_post("/sign-in/{issuer}/begin", self._begin)
        app.router.add_get("/sign-in/{issuer}", self._come_back)
        app.router.add_post("/sign-in/{issuer}", self._sign_in)
        app.router.add_post("/language", self._language)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        """Show the button, and use nothing up."""
        site, ticket, now_ms = self._site, request.match_info["ticket"], self._site.now_ms()
        if not (who := await self._whose(ticket)):
            raise Bad("console.problem.link", 410)
        async with site.read() as db:
            now = await visitor_of(site, request, db, now_ms)
        is_other = now is not None and who != (now.user or now.by)
        need = await self._needed(ticket)
        shown = issuers_of(site).get(need, need)
        fields: dict[str, Any] = {"ticket": ticket, "who": who, "is_other": is_other, "issuer": need, "shown": shown}
        return site.pages.answer("enter.html", self._spoken(request), **fields)

    async def _needed(self, ticket: str) -> str:
        """Return the issuer at which the person with this link must log in; "" if at none."""
        site = self._site
        need = site.config.console.operators_need or ""
        return need if need and await asyncio.to_thread(whose_link, site.data_dir, ticket, site.now_ms()) else ""

    async def _whose(self, ticket: str) -> str:
        """Return whom a link lets in: a Matrix id, or an account of this machine; "" if it cannot be used."""
        site, now_ms = self._site, self._site.now_ms()
        if who := await asyncio.to_thread(whose_link, site.data_dir, ticket, now_ms):
            return who
        async with site.read() as db:
            link = await queries.console_link(db, hashed(ticket))
        return link.user if link is not None and not link.used and link.at <= now_ms < link.until else ""

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        site, ticket = self._site, request.match_info["ticket"]
        if await self._needed(ticket):
            raise Bad("console.problem.needs_login", 403)
        token = await asyncio.to_thread(use_link, site.data_dir, ticket, site.now_ms())
        if not token:
            if not await self._whose(ticket):
                raise Bad("console.problem.link", 410)
            token = await self._session_of_person(ticket)
        return await self._let_in(request, token)

    async def _let_in(self, request: web.Request, token: str) -> web.Response:
        """Give the browser a session, in place of the one it had."""
        if before := hashed(token_of(self._site, request)):
            await self._end(before)
        answer = web.Response(status=303, headers={"Location": "/"})
        self._set_cookie(request, answer, token)
        return answer

    # A login at an issuer. It sends the browser back from another site, and such a request brings no cookie that is for
    # this site alone: so a page with a button stands between the login and the session.

    async def _choose(self, request: web.Request) -> web.StreamResponse:
        """Show where one can log in."""
        site = self._site
        if not issuers_of(self._site):
            raise Bad("console.problem.not_in", 403)
        return site.pages.answer(
            "sign_in.html", self._spoken(request), issuers=issuers_of(self._site), link="", shown=""
        )

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        """Begin a login, and lead to the issuer."""
        site, name, form = self._site, self._issuer_of(request), await form_of(request)
        ticket, browser = form.get("ticket", ""), new_token()
        if ticket and await self._needed(ticket) != name:
            raise Bad("console.problem.link", 410)
        done = await ask(site, "console-sign-in", issuer=name, browser=hashed(browser))
        fields = {"issuers": {}, "link": done["link"], "shown": issuers_of(self._site)[name]}
        answer = site.pages.answer("sign_in.html", self._spoken(request), **fields)
        for cookie, value in ((SIGN_IN_COOKIE, browser), (LINK_COOKIE, ticket)):
            answer.set_cookie(
                cookie,
                value,
                max_age=SIGN_IN_S if value else 0,
                path="/sign-in",
                secure=_is_https(site, request),
                httponly=True,
                samesite="Lax",
            )
        return answer

    async def _come_back(self, request: web.Request) -> web.StreamResponse:
        """Show the button for a browser that came back from an issuer."""
        name, language = self._issuer_of(request), self._spoken(request)
        given = {each: request.query[each] for each in _QUERY if each in request.query}
        return self._site.pages.answer(
            "signed_in.html", language, name=name, shown=issuers_of(self._site)[name], given=given
        )

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        """Open a session for somebody who logged in at an issuer."""
        site, name, form = self._site, self._issuer_of(request), await form_of(request)
        query = {each: form[each] for each in _QUERY if each in form}
        asked: dict[str, Any] = {
            "issuer": name,
            "browser": hashed(request.cookies.get(SIGN_IN_COOKIE, "")),
            "query": query,
        }
        if ticket := request.cookies.get(LINK_COOKIE, ""):
            done = await ask(site, "console-operator-signed-in", **asked)
            token = await self._session_of_operator(ticket, name, done["operators"])
        else:
            token = str((await ask(site, "console-signed-in", **asked))["session"])
        answer = await self._let_in(request, token)
        for cookie in (SIGN_IN_COOKIE, LINK_COOKIE):
            answer.del_cookie(cookie, path="/sign-in")
        return answer

    async def _session_of_operator(self, ticket: str, issuer: str, operators: list[str]) -> str:
        """Use up an operator's link for one of the operators whose login this was; return the token of the session."""
        site, now_ms = self._site, self._site.now_ms()
        named = await asyncio.to_thread(named_operator, site.data_dir, ticket, now_ms)
        if named and named not in operators:
            raise Bad("console.problem.other_operator", 403, who=named)
        acts_as = UserId(named or operators[0])
        token = await asyncio.to_thread(use_link, site.data_dir, ticket, now_ms, issuer=issuer, operator=acts_as)
        if not token:
            raise Bad("console.problem.link", 410)
        return token

    def _issuer_of(self, request: web.Request) -> str:
        name = request.match_info["issuer"]
        if name not in issuers_of(self._site):
            raise NoPage
        return name

    async def _session_of_person(self, ticket: str) -> str:
        """Have the bot open a session for the person who got the link; return its token."""
        try:
            return str((await ask(self._site, "console-login", ticket=ticket))["session"])
        except Refused:
            raise Bad("console.problem.link", 410) from None

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        site = self._site
        if key := hashed(request.cookies.get(_cookie_name(site, request), "")):
            await self._end(key)
        answer = site.pages.answer("left.html", self._spoken(request))
        answer.del_cookie(_cookie_name(site, request), path="/")
        return answer

    async def _end(self, key: str) -> None:
        site = self._site
        if await asyncio.to_thread(end_session, site.data_dir, key):
            return
        site.last_used.end(key)
        with contextlib.suppress(Bad, Refused):  # this console lets it in no more; elsewhere it ends by its time
            await ask(site, "console-end", key=key)

    async def _language(self, request: web.Request) -> web.StreamResponse:
        """Choose the language of the pages, and go back to the page that it was chosen on."""
        form = await form_of(request)
        chosen, back = form.get("language", ""), form.get("back", "")
        answer = web.Response(status=303, headers={"Location": back if _is_own_path(back) else "/"})
        if chosen in LANGUAGES:
            answer.set_cookie(language.COOKIE, chosen, max_age=365 * 86_400, samesite="Strict", httponly=True)
        return answer

    def _spoken(self, request: web.Request) -> str:
        return language.language_of(request, "", self._site.config.bot.language)

    def _set_cookie(self, request: web.Request, answer: web.Response, token: str) -> None:
        answer.set_cookie(
            _cookie_name(self._site, request),
            token,
            max_age=LONGEST_MS // 1000,
            path="/",
            secure=_is_https(self._site, request),
            httponly=True,
            samesite="Strict",
        )


def _is_own_path(path: str) -> bool:
    """Tell whether an address is a path on this site: ``//elsewhere`` and ``/\\elsewhere`` are not."""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
