"""A bad line to a good homeserver: a proxy that forwards all requests except those that a test answers otherwise.

Rules it keeps:
- A forwarded answer is the homeserver's own, byte for byte.
- A request that is answered otherwise never reaches the homeserver, unless the answer is `lost`: then the homeserver
  does what was asked, and the client does not learn it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import ClientSession, web
from yarl import URL

from tests.fakes.http_stub import Answer

_FRAMING = frozenset({"host", "transfer-encoding", "connection", "keep-alive", "content-length"})  # of each hop


@dataclass
class Trouble:
    """Answers for requests that match `pattern` ("GET /path?query", quoted as sent), in turn; then they are forwarded.

    `always`: the last answer is repeated for ever. `lost`: the homeserver does what is asked first. With `held` nothing
    is answered until it is set, and then the homeserver's answer; with `lost`, too, the homeserver acts before, and
    only answers that `holds` names, if it is given, wait.
    """

    pattern: str
    answers: deque[Answer] = field(default_factory=deque)
    always: bool = False
    lost: bool = False
    met: int = 0
    held: asyncio.Event | None = None
    holds: Callable[[bytes], bool] | None = None

    def next(self, asked: str) -> Answer | None:
        """Return the answer to this request; None: forward it."""
        if not self.answers or not re.search(self.pattern, asked):
            return None
        self.met += 1
        return self.answers[0] if self.always and len(self.answers) == 1 else self.answers.popleft()


class BadLine:
    """Use as ``async with BadLine(url) as line``; `line.url` is its address."""

    def __init__(self, to: str) -> None:
        self.url = ""
        self._to = to
        self._troubles: list[Trouble] = []
        self._changes: list[tuple[str, Callable[[bytes], bytes]]] = []
        self._runner: web.ServerRunner | None = None
        self._session: ClientSession | None = None

    def trouble(self, pattern: str, *answers: Answer, always: bool = False, lost: bool = False) -> Trouble:
        """Give these answers to matching requests from now on."""
        found = Trouble(pattern, deque(answers), always, lost)
        self._troubles.append(found)
        return found

    def silence(self, pattern: str, *, lost: bool = False, holds: Callable[[bytes], bool] | None = None) -> Trouble:
        """Answer matching requests only once `held` is set."""
        found = Trouble(pattern, lost=lost, held=asyncio.Event(), holds=holds)
        self._troubles.append(found)
        return found

    def change(self, pattern: str, how: Callable[[bytes], bytes]) -> None:
        """Change the answers to matching requests from now on."""
        self._changes.append((pattern, how))

    def clear(self) -> None:
        """Forward everything from now on."""
        for trouble in self._troubles:
            if trouble.held is not None:
                trouble.held.set()
        self._troubles.clear()
        self._changes.clear()

    async def __aenter__(self) -> Self:
        self._session = ClientSession(auto_decompress=False)
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._session.close()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = f"{request.method} {request.raw_path}"
        for trouble in list(self._troubles):
            if trouble.held is not None and re.search(trouble.pattern, asked):
                truth = await self._handed_on(request) if trouble.lost else None
                if truth is not None and trouble.holds is not None and not trouble.holds(_said_by(truth)):
                    return truth
                trouble.met += 1
                await trouble.held.wait()
                return truth or await self._handed_on(request)
            if (answer := trouble.next(asked)) is not None:
                if trouble.lost:
                    await self._handed_on(request)
                return await _said(request, answer)
        return await self._handed_on(request)

    async def _handed_on(self, request: web.BaseRequest) -> web.Response:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _FRAMING}
        url = URL(self._to + request.raw_path, encoded=True)
        body = await request.read()
        async with self._session.request(request.method, url, data=body, headers=headers) as truth:
            told = {name: value for name, value in truth.headers.items() if name.lower() not in _FRAMING}
            said = await truth.read()
        for pattern, how in self._changes:
            if re.search(pattern, f"{request.method} {request.raw_path}") and truth.status == 200:
                said = how(said)
        return web.Response(status=truth.status, body=said, headers=told)


def _said_by(truth: web.Response) -> bytes:
    assert isinstance(truth.body, bytes)
    return truth.body


async def _said(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    if not answer.cut:
        return web.Response(status=answer.status, body=answer.payload(), headers=answer.headers)
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.payload()) + 100
    await response.prepare(request)
    await response.write(answer.payload())
    assert request.transport is not None
    request.transport.close()
    return response
