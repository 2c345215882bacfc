"""The guard of the console: which requests are answered at all, and the headers of every answer.

Rules kept here:
- A request is for one of our own addresses, or it is misdirected (RFC 9110, 15.5.20).
- What changes something comes from our own pages: `Sec-Fetch-Site` says so, or, if it is absent, `Origin`.
- Every answer, an error too, has the same headers. Nothing on a page is fetched from elsewhere, no script or style
  stands in a page, and no page may stand in a frame.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

from bot.config.oidc import ConsoleSettings, is_loopback, listen_address

MOST_BYTES = 64 * 1024  # of a form
_SAFE = frozenset({"GET", "HEAD"})

_CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _CONTENT,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}


class Guard:
    """The addresses of one console."""

    def __init__(self, settings: ConsoleSettings) -> None:
        host, port = listen_address(settings.listen)
        here = {"localhost", "127.0.0.1", "[::1]"} if is_loopback(host) else {f"[{host}]" if ":" in host else host}
        self._origins = {f"{name}:{port}": f"http://{name}:{port}" for name in sorted(here)}
        if settings.public_url is not None:
            parts = urlsplit(settings.public_url)
            self._origins[parts.netloc.lower()] = f"{parts.scheme}://{parts.netloc}".lower()

    def origin(self, request: web.BaseRequest) -> str:
        """Return the origin that the browser asked; "" if it is none of ours."""
        return self._origins.get(request.headers.get("Host", "").lower(), "")

    def refusal(self, request: web.BaseRequest) -> int:
        """Return the status with which a request is refused; 0: it is answered."""
        if not self.origin(request):
            return 421
        return 0 if request.method in _SAFE or self._is_own(request) else 403

    def _is_own(self, request: web.BaseRequest) -> bool:
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site == "same-origin"
        return request.headers.get("Origin", "").lower() == self.origin(request)


def add_headers(response: web.StreamResponse) -> None:
    """Set the headers of an answer."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.popall("Server", None)


class BareResponse(web.Response):
    """An answer to what is no request: it says nothing about the program."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        add_headers(self)


class Protocol(web.RequestHandler):
    """A connection on which errors of HTTP itself are answered with our headers, and not logged."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be read as a request."""
        del request, exc, message
        answer = BareResponse(status=status)
        answer.force_close()
        return answer


class Server(web.Server):
    """A server of such connections."""

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of a connection that has been accepted."""
        return Protocol(self, loop=self._loop, **self._kwargs)
