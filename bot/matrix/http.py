"""One HTTP request to the homeserver and its answer, as bytes or as JSON.

Rules kept here:
- Every request has a deadline.
- Nothing waits or is retried here. (aiohttp sends a GET or PUT once more if a kept connection turns out to be dead,
  which is harmless: our PUTs are idempotent.)
- A failure is raised as one of `errors.py`.
- Redirects are not followed.
- A request waits at the gate to the outside (`bot/outside/`), which takes nothing off its deadline.
- Ids become path segments in one place, and cannot break out of theirs.
- The access token and the password appear in no error, whatever the server echoes.

Left to others: which requests there are (`client.py`), when to try again (their callers).

Why not `nio.AsyncClient.send`: a segment `..` takes the one before it out of the address, and redirects are followed
(decision 0004).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from bot.outside.gate import may_send
from bot.outside.http import http_session
from moderation.values.errors import Invalid

from .errors import TooLarge, Unreachable, error_of

V3 = "/_matrix/client/v3"
V1 = "/_matrix/client/v1"
MEDIA = "/_matrix/media/v3"  # uploads only; downloads moved to V1 with authentication (v1.11)
MSC4194 = "/_matrix/client/unstable/org.matrix.msc4194"
SYNAPSE_ADMIN = "/_synapse/admin/v1"

_CONNECT_S = 10.0  # a machine that accepts no TCP connection within this time is down
_ERROR_BYTES = 65_536

MAX_DEPTH = 400  # nested brackets in an answer that orjson refuses (its limit is 1024); events stay far below
_TOO_DEEP = b'"[nested too deeply]"'
# Strings match too, to step over their content; an unclosed one matches at once.
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request: its target (`base` and quoted `segments`), its content, and how long it may take."""

    method: str
    segments: tuple[str, ...]
    base: str = V3
    query: tuple[tuple[str, str], ...] = ()
    json: Mapping[str, Any] | None = field(default=None, repr=False)  # may hold a password
    data: bytes | None = field(default=None, repr=False)
    mimetype: str = "application/json"
    timeout_s: float | None = None  # None: the wire's own
    token: str | None = field(default=None, repr=False)  # None: the wire's own; "": none at all
    secrets: tuple[str, ...] = field(default=(), repr=False)  # what no error may say, in addition to the token

    @property
    def path(self) -> str:
        """The path as it goes over the wire, without the query."""
        return self.base + "".join(f"/{segment(part)}" for part in self.segments)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Wire:
    """The connections to one homeserver, opened by the first request, inside the running loop.

    `on_time`, if it is given, takes the homeserver's time (ms) from each of its answers.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        timeout_s: float = 30.0,
        on_time: Callable[[int], None] | None = None,
    ) -> None:
        self.url = clean_url(url)
        self._token = token
        self._timeout_s = timeout_s
        self._on_time = on_time
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Wire({self.url!r})"

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP session; must be fetched inside the running loop."""
        if self._session is None or self._session.closed:
            self._session = http_session()
        return self._session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release every connection. A request made after that opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, ask: Ask) -> dict[str, Any]:
        """Do the request; return the answer as a JSON object."""
        answer = await self.ask_any(ask)
        if not isinstance(answer, dict):
            raise Unreachable("an answer that is no JSON object", request=str(ask))
        return answer

    async def ask_any(self, ask: Ask) -> Any:
        """Do the request; return the answer as any JSON value."""
        body = await self.ask_bytes(ask)
        try:
            return decode(body)
        except ValueError as problem:
            raise Unreachable(f"an answer that is not JSON: {problem}", request=str(ask)) from None

    async def ask_bytes(self, ask: Ask, *, at_most: int | None = None) -> bytes:
        """Do the request; return the answer as it came. More than `at_most` bytes raise `TooLarge`."""
        timeout_s = self._timeout_s if ask.timeout_s is None else ask.timeout_s
        await may_send()
        try:
            return await self._exchange(ask, timeout_s, at_most)
        except TimeoutError:  # the cancellation of a task is different, and propagates
            raise Unreachable(f"no answer within {timeout_s:g} s", request=str(ask)) from None
        except (aiohttp.ClientError, OSError) as problem:
            # "from None": the text is enough, and some of aiohttp's errors carry our headers.
            raise Unreachable(_why(problem), request=str(ask)) from None

    async def _exchange(self, ask: Ask, timeout_s: float, at_most: int | None) -> bytes:
        token = self._token if ask.token is None else ask.token
        async with self.session.request(
            ask.method,
            URL(self.url + ask.path + (f"?{urlencode(ask.query)}" if ask.query else ""), encoded=True),
            data=ask.data if ask.json is None else orjson.dumps(ask.json),
            headers=_headers(ask, token),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s, connect=min(_CONNECT_S, timeout_s)),
        ) as response:
            if self._on_time and (server_ms := _date_ms(response.headers.get("Date", ""))) is not None:
                self._on_time(server_ms)
            if 200 <= response.status < 300:
                return await response.read() if at_most is None else await _read(ask, response, at_most)
            # An error's body is short; of anything longer the beginning is enough.
            body = await read_up_to(response, _ERROR_BYTES)
            hide = _hider((token, *ask.secrets))
            raise error_of(str(ask), response.status, response.headers, body, hide)


def _date_ms(text: str) -> int | None:
    """Return the time in a `Date` header (RFC 9110, 6.6.1), in milliseconds; None if it holds none."""
    try:
        return int(parsedate_to_datetime(text).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError):
        return None


def segment(text: str) -> str:
    """Quote `text` as one segment of a path, so that no id can reach into the next segment."""
    if text in (".", ".."):  # quoting does not help: servers and proxies resolve these all the same
        raise Invalid(f"{text!r} cannot be part of a request's path")
    return quote(text, safe="")


def clean_url(url: str) -> str:
    """Return the homeserver's address without a slash at its end. Raises `Invalid` if it is not an address."""
    text = url.strip().rstrip("/")
    try:
        parts = URL(text)
        if parts.user is not None or parts.password is not None:  # not shown, since it is a secret
            raise Invalid("the homeserver's address must not hold a user name or password")
        plain = parts.scheme in ("http", "https") and parts.host and not (parts.query_string or parts.fragment)
    except ValueError:
        plain = False
    if not plain or any(character.isspace() for character in text):
        raise Invalid(f"not the address of a homeserver, such as https://matrix.example.org: {url!r}")
    return text


def decode(body: bytes) -> Any:
    """Return the JSON value in `body`. Raises `ValueError`.

    Anybody can put into a room what orjson refuses: half a surrogate pair (``\\ud800``) by way of a server laxer than
    Synapse, a number of 400 digits in rooms older than version 6, brackets nested without end. One such event would
    make every answer of /sync unreadable for good. So it is read as well as possible: "?" for the half pair, infinity
    for the number, a word for what is nested too deeply.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        text = json.dumps(_loads(_shallow(body)), ensure_ascii=False)
        return _loads(text.encode(errors="replace"))


def _loads(body: bytes) -> Any:
    try:
        return json.loads(body, parse_int=_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _number(digits: str) -> int | float:
    """Return a number as orjson does: one that does not fit in 64 bits is a float."""
    return int(digits) if len(digits) < 19 else float(digits)


def _shallow(body: bytes) -> bytes:
    """Replace each array or object that is nested too deeply by a text that says so."""
    kept, depth, last, begun = [], 0, 0, 0
    for found in _BRACKETS.finditer(body):
        sign = found[0]
        if sign in b"[{":
            depth += 1
            begun = found.start() if depth == MAX_DEPTH + 1 else begun
        elif sign in b"]}":
            if depth == MAX_DEPTH + 1:
                kept += [body[last:begun], _TOO_DEEP]
                last = found.end()
            depth -= 1
    return b"".join((*kept, body[last:])) if kept else body


def _headers(ask: Ask, token: str) -> dict[str, str]:
    headers = {"User-Agent": "Answerable"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if ask.json is not None or ask.data is not None:
        headers["Content-Type"] = ask.mimetype
    return headers


async def _read(ask: Ask, response: aiohttp.ClientResponse, at_most: int) -> bytes:
    said = response.content_length or 0
    body = await read_up_to(response, at_most) if said <= at_most else b""
    if max(said, len(body)) > at_most:
        raise TooLarge(f"more than the {at_most} bytes we take", request=str(ask), status=response.status)
    return body


async def read_up_to(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, or its beginning, a little longer than `limit`."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)


def text_in(ask: Ask, answer: Mapping[str, Any], name: str) -> str:
    """Return the string under `name` in an answer.

    Raises `Unreachable` if it is missing; the request may still have taken effect.
    """
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise Unreachable(f"an answer without {name}", request=str(ask))
    return value


def _hider(secrets: tuple[str, ...]) -> Callable[[str], str]:
    known = [secret for secret in secrets if secret]

    def hide(text: str) -> str:
        for secret in known:
            text = text.replace(secret, "[hidden]")
        return text

    return hide


def _why(problem: Exception) -> str:
    """Return what aiohttp or the system says, in words; the class name if it says nothing."""
    return str(problem) or type(problem).__name__
