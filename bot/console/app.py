"""The server of the console: from a request to the page that answers it.

Rules kept here:
- Nobody sees a traceback. What a page cannot answer is a page that says what was wrong and what to do.
- Rights are asked for each request, before the page is.
- An address says nothing to somebody who is not in, and what a visitor may not see is not there.

Left to others: which requests are answered at all (`guard.py`), the pages (`pages/`).
"""

import asyncio
import pkgutil
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib import import_module

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.config import Config
from bot.config.oidc import listen_address
from bot.runtime.clock import Clock, wall_clock
from moderation.values.errors import Broken, Invalid, Refused
from storage import queries
from storage.database.refusals import DatabaseRefused
from storage.export.waiting import remove_waiting

from . import entering, pages
from .forms import form_of
from .guard import MOST_BYTES, Server, add_headers
from .language import language_of
from .reading import Unrecorded
from .render import static_files
from .rights import rights_of
from .sessions import Visitor
from .site import Site
from .visit import Bad, NoPage, Route, Visit

log = structlog.get_logger()

MENU = ("overview", "cases", "people", "rooms", "duty", "records", "tasks", "figures", "settings")  # in this order

_TIDY_EACH_S = 3_600
_STATIC_FOR_S = 365 * 86_400

VISITOR = web.RequestKey("visitor", Visitor)  # who asks, once that is known

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@cache
def routes() -> tuple[Route, ...]:
    """Return the addresses of all pages: a file of `pages/` states its own."""
    names = sorted(each.name for each in pkgutil.iter_modules(pages.__path__))
    modules = [import_module(f"{pages.__name__}.{name}") for name in names]
    return tuple(route for module in modules for route in getattr(module, "ROUTES", ()))


@cache
def _menu() -> tuple[Route, ...]:
    return tuple(sorted((each for each in routes() if each.menu), key=lambda each: MENU.index(each.menu)))


def menu(visitor: Visitor) -> tuple[Route, ...]:
    """Return the pages in the menu of a visitor, in its order."""
    return tuple(each for each in _menu() if each.who == "anybody" or visitor.kind == "operator")


def application(site: Site) -> web.Application:
    """Return the application that answers for `site`."""
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[_Answering(site).answer])
    app.on_response_prepare.append(_prepare)
    for route in routes():
        app.router.add_route(route.method, route.path, _Answering(site).page(route))
    app.router.add_get("/static/{name}", _static)
    app.router.add_get("/favicon.ico", _nothing)
    entering.Entering(site).add_to(app)
    return app


async def _prepare(_request: web.Request, response: web.StreamResponse) -> None:
    add_headers(response)


async def _nothing(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _static(request: web.Request) -> web.StreamResponse:
    found = static_files().get(request.match_info["name"])
    if found is None:
        raise NoPage
    answer = web.Response(body=found[1], content_type=found[0], charset="utf-8")
    answer.headers["Cache-Control"] = f"private, max-age={_STATIC_FOR_S}, immutable"
    answer.enable_compression()
    return answer


class _Answering:
    """Answers requests to one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def answer(self) -> Middleware:
        """The middleware: everything that can go wrong with a request becomes a page."""
        site = self._site

        @web.middleware
        async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
            if status := site.guard.refusal(request):
                return _problem(site, request, status)
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = _problem(site, request, error.status)
            except NoPage:
                response = _problem(site, request, 404)
            except Bad as bad:
                response = _problem(site, request, bad.status, bad.key, bad.fields)
            except DatabaseRefused as refused:  # its words name the server
                log.error("console_cannot_read", why=site.catalog.text("en", refused.key, **refused.fields))
                response = _problem(site, request, 503, "console.problem.cannot_read")
            except Refused as refused:
                response = _problem(site, request, 400, refused.key, refused.fields)
            except Unrecorded as error:
                log.error("console_reading_not_noted", why=str(error))
                response = _problem(site, request, 503, "console.problem.not_noted", why=str(error))
            except (Invalid, Broken, SQLAlchemyError, OSError) as error:
                log.error("console_cannot_read", why=str(error))
                response = _problem(site, request, 503, "console.problem.cannot_read", why=_first_line(error))
            except (asyncio.CancelledError, ConnectionError):
                raise
            except Exception:
                log.exception("console_failed", path=request.path)
                response = _problem(site, request, 500)
            if response.content_type == "text/html" and not response.prepared:
                response.enable_compression()
            return response

        return answered

    def page(self, route: Route) -> Handler:
        """Return what answers an address."""
        site = self._site

        async def answered(request: web.Request) -> web.StreamResponse:
            now_ms = site.now_ms()
            form = await form_of(request)
            async with site.read() as db:
                visitor = await entering.visitor_of(site, request, db, now_ms)
                if visitor is None:
                    raise Bad("console.problem.not_in", 403)
                if route.who == "operator" and visitor.kind != "operator":
                    raise NoPage
                request[VISITOR] = visitor
                visit = Visit(
                    site=site,
                    request=request,
                    visitor=visitor,
                    rights=await rights_of(db, visitor, site.bot),
                    db=db,
                    language=await _language(site, request, visitor, db),
                    now_ms=now_ms,
                    form=form,
                )
                return await route.run(visit)

        return answered


async def _language(site: Site, request: web.Request, visitor: Visitor, db: AsyncConnection) -> str:
    own = await queries.language_of(db, visitor.user) if visitor.kind == "person" else ""
    return language_of(request, own, site.config.bot.language)


def _problem(
    site: Site,
    request: web.BaseRequest,
    status: int,
    key: str = "",
    fields: Mapping[str, object] | None = None,
    why: str = "",
) -> web.Response:
    """Return the page that says what is wrong; `why` names files and the like, and is shown to operators alone."""
    language = language_of(request, "", site.config.bot.language)
    known = f"console.problem.{status}"
    text = key or (known if site.catalog.has(known) else "console.problem.other")
    try:
        shown = {name: str(value) for name, value in (fields or {}).items()}
        visitor = request.get(VISITOR)
        more = {
            "signs_in": key == "console.problem.not_in" and bool(entering.issuers_of(site)),
            "why": why if visitor is not None and visitor.kind == "operator" else "",
        }
        return site.pages.answer("problem.html", language, status=status, key=text, fields=shown, **more)
    except Exception:
        log.exception("console_failed")
        return web.Response(status=status, text=str(status))


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]


async def serve(
    config: Config,
    stop: asyncio.Event,
    listening: asyncio.Event,
    clock: Clock = wall_clock,
    bound: socket.socket | None = None,
) -> None:
    """Serve the console until told to stop, at `bound` or where the configuration says.

    Raises `OSError` if the address is taken.
    """
    site = Site(config, menu, clock)
    runner = _Runner(application(site), access_log=None, shutdown_timeout=5.0, keepalive_timeout=30.0)
    await runner.setup()
    tidying = asyncio.create_task(_tidy(site))
    try:
        host, port = listen_address(config.console.listen)
        await (web.SockSite(runner, bound) if bound else web.TCPSite(runner, host, port)).start()
        log.info("console_listening", host=host, port=port)
        listening.set()
        await stop.wait()
    finally:
        tidying.cancel()
        await site.jobs.close()
        await runner.cleanup()
        await site.close()


async def _tidy(site: Site) -> None:
    """Remove exports that wait for too long, now and each hour: the bot, which does it too, may not run."""
    while True:
        try:
            await asyncio.to_thread(remove_waiting, site.data_dir, site.now_ms())
        except OSError as error:
            log.warning("console_exports_stay", why=str(error))
        await asyncio.sleep(_TIDY_EACH_S)


class _Runner(web.AppRunner):
    """A runner whose connections answer errors of HTTP as we do."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return Server(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)
