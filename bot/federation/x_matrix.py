"""The sender of a request, proved by the header `Authorization: X-Matrix` of servers.

Rules this module keeps:
- A signature covers method, target, both servers and the content, as they were received.
- A request for another server is refused, and so is one that names no destination: it may have been meant for another
  server, which hands it on. (Servers before v1.3 name none; they know no policy servers either.)
- A header that is not exactly of its grammar is refused. No parameter occurs twice.
- Anything that proves nothing raises `Unauthorized`, and nothing else.

Specification: server-server API v1.19, "Request Authentication"; RFC 9110, 11.4.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from bot.crypto.encoding import MalformedKey, canonical
from bot.crypto.signing import SigningKey, verifies

from .errors import Unauthorized
from .server_names import is_server_name

SCHEME = "X-Matrix"
_LONGEST_HEADER = 2_048
_MOST_HEADERS = 4  # a server sends one for each of its keys
_SCHEME = re.compile(r"x-matrix +", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    r'(?:"(?P<quoted>(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*)"'
    r"|(?P<plain>[!#$%&'*+.^_`|~0-9A-Za-z:-]+))"
    r"(?P<next>[ \t]*,[ \t]*|[ \t]*\Z)"
)
_ESCAPED = re.compile(r"\\(.)")
_KEY_ID = re.compile(r"ed25519:[!-~]{1,128}\Z")


class RequestAuthorization(NamedTuple):
    """The parameters of the header."""

    origin: str
    destination: str
    key_id: str  # `ed25519:NAME`
    signature: str


class RequestKeys(Protocol):
    """The source of the keys with which servers sign requests now."""

    async def for_request(self, server: str, key_id: str) -> str | None:
        """Return the public half of a key, in base64, or None if the server has no such key now.

        May raise `TooManyAsked`.
        """


def authorization(
    asked: RequestAuthorization, method: str, target: str, content: object, key: SigningKey
) -> RequestAuthorization:
    """Return `asked` with the signature of our key. `content` is None where the request has no body."""
    return asked._replace(signature=key.sign(_signed_bytes(asked, method, target, content)))


def header_of(given: RequestAuthorization) -> str:
    """Return the value of the header. Servers' names and base64 need no escapes."""
    return (
        f'{SCHEME} origin="{given.origin}",destination="{given.destination}",'
        f'key="{given.key_id}",sig="{given.signature}"'
    )


def parse_authorization(header: str) -> RequestAuthorization:
    """Return what a header says. Raises `Unauthorized` if it does not conform to the specification."""
    scheme = _SCHEME.match(header)
    if scheme is None or len(header) > _LONGEST_HEADER:
        raise Unauthorized("no authorization of a server")
    said = _parameters(header, scheme.end())
    try:
        found = RequestAuthorization(said["origin"], said["destination"], said["key"], said["sig"])
    except KeyError as missing:
        raise Unauthorized(f"the authorization lacks {missing}") from None
    if not is_server_name(found.origin) or not _KEY_ID.match(found.key_id):
        raise Unauthorized("the authorization names no server, or no key")
    return found


async def origin_of(
    headers: Sequence[str], method: str, target: str, content: object, *, ours: str, keys: RequestKeys
) -> str:
    """Return the server that signed a request to us. Raises `Unauthorized`.

    `target` is path and query as they came over the wire, `content` the parsed body, or None where there is no body.
    """
    given = [parse_authorization(header) for header in headers[:_MOST_HEADERS]]
    if not given:
        raise Unauthorized("no authorization of a server")
    if len({each.origin for each in given}) > 1:
        raise Unauthorized("several origins")
    if any(each.destination != ours for each in given):
        raise Unauthorized("meant for another server")
    for each in given:
        public = await keys.for_request(each.origin, each.key_id)
        if public is not None and _is_signed(each, method, target, content, public):
            return each.origin
    raise Unauthorized("the signature is not that of a valid key of the origin")


def _parameters(header: str, start: int) -> dict[str, str]:
    said: dict[str, str] = {}
    while start < len(header):
        found = _PARAMETER.match(header, start)
        if found is None or found["name"].lower() in said:
            raise Unauthorized("the authorization does not conform to the specification")
        plain, quoted = found["plain"], found["quoted"]
        said[found["name"].lower()] = plain if plain is not None else _ESCAPED.sub(r"\1", quoted)
        start = found.end()
        if start == len(header) and "," in found["next"]:
            raise Unauthorized("the authorization does not conform to the specification")
    return said


def _is_signed(given: RequestAuthorization, method: str, target: str, content: object, public: str) -> bool:
    try:
        return verifies(public, _signed_bytes(given, method, target, content), given.signature)
    except MalformedKey:
        return False


def _signed_bytes(given: RequestAuthorization, method: str, target: str, content: object) -> bytes:
    signed: dict[str, Any] = {
        "method": method,
        "uri": target,
        "origin": given.origin,
        "destination": given.destination,
    }
    if content is not None:
        signed["content"] = content
    return canonical(signed)
