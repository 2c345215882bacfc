"""One HTTP request to a server that is not the homeserver: a witness, a time stamping authority, an issuer.

Rules kept here:
- A request has a deadline, follows no redirects, keeps no cookies, and takes an answer of bounded length.
- Everything that gives no answer raises `NoAnswer`.

Left to others: what the answer means.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from bot.outside.gate import may_send
from bot.outside.http import http_session

TIMEOUT_S = 20.0
_CONNECT_S = 10.0
_MOST_BYTES = 65_536


class NoAnswer(Exception):
    """There was no usable answer. The text says what is known of it."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """The answer to a request."""

    status: int
    mimetype: str
    body: bytes


async def post(
    url: str, data: bytes, mimetype: str, timeout_s: float = TIMEOUT_S, headers: Mapping[str, str] | None = None
) -> HttpReply:
    """POST `data`. Raises `NoAnswer`."""
    return await _ask("POST", url, data, {"Content-Type": mimetype, **(headers or {})}, timeout_s)


async def get(url: str, timeout_s: float = TIMEOUT_S, headers: Mapping[str, str] | None = None) -> HttpReply:
    """Send a GET request. Raises `NoAnswer`."""
    return await _ask("GET", url, None, headers or {}, timeout_s)


async def _ask(method: str, url: str, data: bytes | None, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
    named = {"User-Agent": "Answerable", **headers}
    timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(_CONNECT_S, timeout_s))
    await may_send()
    try:
        async with (
            http_session(timeout=timeout) as session,
            session.request(method, url, data=data, headers=named, allow_redirects=False) as response,
        ):
            return HttpReply(response.status, response.content_type, await _bounded(response))
    except TimeoutError:
        raise NoAnswer(f"no answer within {timeout_s:g} s") from None
    except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:  # their texts contain the address
        raise NoAnswer(type(error).__name__) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise NoAnswer(f"an answer of more than {_MOST_BYTES} bytes")
    return bytes(body)
