"""A web server on loopback that gives prepared answers, good or bad, such as a Synapse never gives.

Rules it keeps:
- Every request is kept as it came over the wire.
- Answers are used in the order in which they were given; a request without one is answered with 500, so that a test
  cannot pass by luck.
"""

import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from tests.fakes.local_server import LocalServer


@dataclass(frozen=True)
class Answer:
    """A prepared answer: a raw body or `json`; `hang` sends nothing more, `cut` breaks the connection."""

    status: int = 200
    body: bytes = b""
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False

    def payload(self) -> bytes:
        """Return the body's bytes."""
        return self.body if self.json is None else orjson.dumps(self.json)


@dataclass(frozen=True)
class Request:
    """A request; the path is raw, as quoted by the sender."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpStub(LocalServer):
    """Use as ``async with HttpStub() as stub``; `stub.url` is its address. With `tls` it speaks https only."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.requests: list[Request] = []
        self._answers: deque[Answer] = deque()

    def will(self, *answers: Answer) -> None:
        """Add prepared answers."""
        self._answers.extend(answers)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(Request(request.method, request.raw_path, dict(request.headers), body))
        answer = self._answers.popleft() if self._answers else Answer(500, b"the test gave no answer for this")
        if answer.hang:
            await self._closing.wait()
        if answer.cut:
            return await self._cut(request, answer)
        return web.Response(status=answer.status, body=answer.payload(), headers=answer.headers)

    async def _cut(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        """Announce more bytes than are sent, then break the connection."""
        payload = answer.payload()
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(payload) + 100
        await response.prepare(request)
        await response.write(payload)
        assert request.transport is not None
        request.transport.close()
        return response
