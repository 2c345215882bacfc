"""Coming in and leaving: links, sessions, cookies.

Rules kept here:
- A link is used by pressing a button: programs that show previews of links fetch them, and must not use them up.
- The cookie can be read by no script and is sent by no other site. Where the page is reached by https, only by that.
"""

import asyncio
from urllib.parse import urlsplit

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.runtime.tokens import hashed
from bot.texts.catalog import LANGUAGES

from . import language
from .sessions import LONGEST_MS, Visitor, end_session, is_link, operator_of, use_link
from .site import Site
from .visit import Bad

COOKIE = "answerable"


async def visitor_of(site: Site, request: web.Request, db: AsyncConnection, now_ms: int) -> Visitor | None:
    """Return who is behind the cookie of a request; None if nobody is in."""
    del db
    token = request.cookies.get(_cookie_name(site, request), "")
    return await asyncio.to_thread(operator_of, site.data_dir, token, now_ms) if hashed(token) else None


def _cookie_name(site: Site, request: web.Request) -> str:
    # Browsers keep a cookie for https alone from a page that came without it, on this machine, only in part.
    return f"__Host-{COOKIE}" if _is_https(site, request) else COOKIE


def _is_https(site: Site, request: web.Request) -> bool:
    return site.guard.origin(request).startswith("https:")


class Entering:
    """The pages for those who are not in yet, and for those who leave."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, app: web.Application) -> None:
        """Add the addresses."""
        app.router.add_get("/enter/{ticket}", self._show)
        app.router.add_post("/enter/{ticket}", self._enter)
        app.router.add_post("/leave", self._leave)
        app.router.add_post("/language", self._language)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        """Show the button, and use nothing up."""
        site, ticket = self._site, request.match_info["ticket"]
        if not await asyncio.to_thread(is_link, site.data_dir, ticket, site.now_ms()):
            raise Bad("console.problem.link", 410)
        return site.pages.answer("enter.html", self._spoken(request), ticket=ticket)

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        site = self._site
        token = await asyncio.to_thread(use_link, site.data_dir, request.match_info["ticket"], site.now_ms())
        if not token:
            raise Bad("console.problem.link", 410)
        answer = web.Response(status=303, headers={"Location": "/"})
        self._set_cookie(request, answer, token)
        return answer

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        site = self._site
        if key := hashed(request.cookies.get(_cookie_name(site, request), "")):
            await asyncio.to_thread(end_session, site.data_dir, key)
        answer = site.pages.answer("left.html", self._spoken(request))
        answer.del_cookie(_cookie_name(site, request), path="/")
        return answer

    async def _language(self, request: web.Request) -> web.StreamResponse:
        """Choose the language of the pages, and go back to the page that it was chosen on."""
        form = await request.post()
        chosen, back = str(form.get("language", "")), str(form.get("back", ""))
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
    parts = urlsplit(path) if path.isprintable() and "\\" not in path else None
    return parts is not None and not parts.scheme and not parts.netloc and path.startswith("/")
