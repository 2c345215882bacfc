"""One request to the console, and what a page can ask of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import orjson
from aiohttp import web
from multidict import MultiDictProxy
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.heartbeat import SILENT_MS
from bot.texts.names import names_in
from moderation.policy import Policy
from moderation.values.ids import UserId
from moderation.values.notices import Line, people_named
from storage import queries

from .rights import Rights
from .sessions import Visitor
from .site import Site

Method = Literal["GET", "POST"]
T = TypeVar("T")


def is_number(text: str) -> bool:
    """Return whether a text is a number of digits as `int` reads and JSON carries them."""
    return text.isascii() and text.isdigit() and len(text) < 16


class NoPage(Exception):
    """There is nothing at this address that the visitor may see."""


class Bad(Exception):
    """A request that a page cannot answer; `key` is the text that says so, and what to do."""

    def __init__(self, key: str, status: int = 400, **fields: object) -> None:
        super().__init__(key)
        self.key, self.status, self.fields = key, status, fields


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is in: who they are, what they may see, and the tables as they are now."""

    site: Site
    request: web.Request
    visitor: Visitor
    rights: Rights
    db: AsyncConnection
    language: str
    now_ms: int
    form: MultiDictProxy[str] = field(repr=False)  # empty unless something was posted

    @property
    def wants_json(self) -> bool:
        """True if the answer is to be JSON (``?as=json``)."""
        return self.request.query.get("as") == "json"

    def number(self, name: str) -> int:
        """Return a number of the address. Raises `NoPage` if it is none."""
        written = self.request.match_info[name]
        if not is_number(written):
            raise NoPage
        return int(written)

    def said(self, name: str) -> str:
        """Return what a form or the query says, without what cannot be typed; "" if it says nothing."""
        said = self.form.get(name, self.request.query.get(name, ""))
        return said.strip() if isinstance(said, str) else ""

    def seen(self, found: T | None) -> T:
        """Return what was found. Raises `NoPage` if nothing was."""
        if found is None:
            raise NoPage
        return found

    async def names(self, lines: Sequence[Line], *rooms: str) -> dict[str, str]:
        """Return the names of the rooms, people and rules in these lines."""
        to = None if self.operator else self.visitor.user
        return await names_in(self.db, lines, self.language, *rooms, about=people_named(lines), to=to)

    def page(self, template: str, *, status: int = 200, json: Any = None, **fields: Any) -> web.Response:
        """Answer with a page, or, if that was asked for, with the same as JSON."""
        if self.wants_json and json is not None:
            return web.Response(body=orjson.dumps(json), content_type="application/json")
        return self.site.pages.answer(template, self.language, status=status, visit=self, **fields)

    @staticmethod
    def see_other(path: str, **query: str) -> web.Response:
        """Send the browser to another page, after something was posted."""
        where = f"{path}?{urlencode(query)}" if query else path
        return web.Response(status=303, headers={"Location": where})

    async def last_heard(self) -> int:
        """Return when the bot last heard its homeserver; 0: never."""
        return int(await queries.get_meta(self.db, "alive") or 0)

    def is_silent(self, heard: int) -> bool:
        """Tell whether the bot, last heard then, does not run or does not reach its homeserver."""
        return self.now_ms - heard > SILENT_MS

    @property
    def policy(self) -> Policy:
        """The policy for what the visitor may do: by a link from chat, nobody has the rights of an operator."""
        policy = self.site.policy
        return policy if self.visitor.kind == "operator" else policy.without_operator(self.visitor.user)

    @property
    def operator(self) -> UserId:
        """The operator in whose name the visitor acts; "" if in nobody's."""
        return self.visitor.user if self.visitor.kind == "operator" else UserId("")


Run = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """An address, and the page that answers it."""

    method: Method
    path: str  # as aiohttp writes it
    run: Run
    who: Literal["anybody", "operator"] = "anybody"  # of those who are in; a page for operators is not there for others
    menu: str = ""  # its name in the menu (`console.menu`); "": it is not in it
