"""Forms posted to a page.

Rules kept here:
- A form is read before anything that others wait for is taken, and within seconds.
- Files and other kinds of content are refused.
"""

import asyncio

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from .visit import Bad

WITHIN_S = 10.0
NOTHING: MultiDictProxy[str] = MultiDictProxy(MultiDict())


async def form_of(request: web.Request) -> MultiDictProxy[str]:
    """Return what was posted. Raises `Bad` if it cannot be read, or does not come."""
    if request.method != "POST":
        return NOTHING
    if request.content_type != "application/x-www-form-urlencoded":
        raise Bad("console.problem.form", 415)
    try:
        async with asyncio.timeout(WITHIN_S):
            posted = await request.post()
    except TimeoutError:
        raise Bad("console.problem.form", 408) from None
    except (ValueError, LookupError):  # no UTF-8, or an encoding that does not exist
        raise Bad("console.problem.form") from None
    return MultiDictProxy(MultiDict((name, value) for name, value in posted.items() if isinstance(value, str)))
