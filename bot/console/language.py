"""The language of a page."""

from aiohttp import web

from bot.texts.catalog import LANGUAGES

COOKIE = "answerable-language"


def language_of(request: web.BaseRequest, own: str, default: str) -> str:
    """Return the language chosen on a page, else somebody's own, else that of the browser, else the deployment's."""
    chosen = request.cookies.get(COOKIE, "")
    return (chosen if chosen in LANGUAGES else "") or own or _of_browser(request) or default


def _of_browser(request: web.BaseRequest) -> str:
    """Return the first language of the browser that we have; "" if there is none."""
    wanted = request.headers.get("Accept-Language", "")[:200].lower().split(",")
    return next((language for each in wanted for language in LANGUAGES if each.strip().startswith(language)), "")
