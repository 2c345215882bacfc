"""Errors between the bot and the homeserver, split by what the caller does next.

  | error         | the caller                                                            |
  |---------------|-----------------------------------------------------------------------|
  | `Unreachable` | tries the very same request again, later (same transaction id)        |
  | `RateLimited` | tries again after `retry_after_ms`, and does something more urgent now |
  | `Forbidden`   | gives up until power, membership or the account changes               |
  | `NotFound`    | assumes that the thing does not exist, or not for us                  |
  | `LoggedOut`   | stops, and asks the operator to log in again                          |
  | `TooLarge`    | sends less                                                            |
  | `Rejected`    | gives up: this request will never be accepted as it is                |

Rules kept here:
- Answers are only classified: no connection is opened and nobody waits.
- Only a Matrix error (a JSON object with an `errcode`) counts as the homeserver's own word. So a 404 page of a proxy is
  `Unreachable`, never "not set".
- The text of an error is one line of plain English, fit for the log.

Left to others: what must not be said (`hide`, given by `http.py`, which knows the tokens and passwords), retrying
(`bot/outbox/dispatcher.py`, `bot/pipeline/pipeline.py`).

Specification: Matrix client-server API v1.19, "Standard error response", "Rate limiting", "Soft logout".
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from moderation.values.errors import AnswerableError

DEFAULT_RETRY_MS = 5_000  # by Synapse's default limits: one event every five seconds
LONGEST_RETRY_MS = 3_600_000  # a server that says "next year" is asked again within the hour
_SHORTEST_RETRY_MS = 100
_LONGEST_TEXT = 200
_EXCERPT = 2_000  # bytes of an answer that are read; the text is cut after secrets were removed


class HomeserverError(AnswerableError):
    """The base class: a request was not done, or it is unknown whether it was."""

    def __init__(self, detail: str, *, request: str = "") -> None:
        self.request = request  # "PUT /rooms/!a/send/...": no query, no token
        self.detail = one_line(detail)
        super().__init__(f"{request}: {self.detail}" if request else self.detail)


class Unreachable(HomeserverError):
    """No answer came, or none from the homeserver itself. Whether the request took effect is unknown."""


class RateLimited(HomeserverError):
    """429, `M_LIMIT_EXCEEDED`: ask again in `retry_after_ms` (section "Rate limiting")."""

    def __init__(self, detail: str, *, request: str = "", retry_after_ms: int = DEFAULT_RETRY_MS) -> None:
        super().__init__(detail, request=request)
        self.retry_after_ms = retry_after_ms


class Answered(HomeserverError):
    """The homeserver refused, with a reason: `errcode`, the HTTP `status` and the whole `answer`."""

    def __init__(
        self,
        detail: str,
        *,
        request: str = "",
        status: int = 0,
        errcode: str = "",
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail, request=request)
        self.status = status
        self.errcode = errcode
        self.answer: Mapping[str, Any] = answer or {}  # flows of a user-interactive authentication, limits


class Forbidden(Answered):
    """403: final until something changes (`M_FORBIDDEN`, `M_INVITE_BLOCKED`, `M_USER_LOCKED` ...)."""


class NotFound(Answered):
    """404 `M_NOT_FOUND`: there is no such thing, or none that we may see."""


class LoggedOut(Answered):
    """401 `M_UNKNOWN_TOKEN` or `M_MISSING_TOKEN`: the token is not valid, or no longer."""


class TooLarge(Answered):
    """413 or `M_TOO_LARGE`: an event over 64 KiB, or a file over the server's limit."""


class Rejected(Answered):
    """Any other refusal: the request itself is at fault, or the server does not know how to do it."""


def error_of(
    request: str, status: int, headers: Mapping[str, str], body: bytes, hide: Callable[[str], str]
) -> HomeserverError:
    """Return the error for an answer with an HTTP status other than 200.

    `hide` removes secrets from what the server says, before it is cut to length.
    """
    answer = _matrix_error(body)
    known = answer or {}
    errcode = str(known.get("errcode", ""))
    detail = hide(_detail(status, answer, headers, body))
    if status == 429 or errcode == "M_LIMIT_EXCEEDED":
        return RateLimited(detail, request=request, retry_after_ms=_retry_after_ms(known, headers))
    kind = _kind(status, errcode, answer is not None)
    if kind is None:
        return Unreachable(detail, request=request)
    return kind(detail, request=request, status=status, errcode=errcode, answer=known)


def one_line(text: str) -> str:
    """Put `text` on one line, without characters that could trick a terminal, and cut it to a length fit for a log."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    flat = " ".join(printable.split())
    return flat if len(flat) <= _LONGEST_TEXT else flat[: _LONGEST_TEXT - 1] + "…"


def _kind(status: int, errcode: str, is_matrix_error: bool) -> type[Answered] | None:
    if status == 413 or errcode == "M_TOO_LARGE":  # a 413 of a proxy is believed, too
        return TooLarge
    if 300 <= status < 400:  # following it could leak the token to another server, or turn a POST into a GET
        return Rejected
    if not 400 <= status < 500 or not is_matrix_error:
        return None
    if errcode == "M_USER_LOCKED":  # 401, but logging in again would not help: the admin must unlock
        return Forbidden
    if status == 401 and errcode in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"):
        return LoggedOut
    if status == 403:
        return Forbidden
    if status == 404 and errcode != "M_UNRECOGNIZED":  # that one: the endpoint is unknown, not the thing
        return NotFound
    return Rejected


def _matrix_error(body: bytes) -> dict[str, Any] | None:
    """Return the error object, or None if the body is not one. A 401 that asks for more steps counts, too."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict):
        return None
    known = isinstance(answer.get("errcode"), str) or isinstance(answer.get("flows"), list)
    return answer if known else None


def _detail(status: int, answer: Mapping[str, Any] | None, headers: Mapping[str, str], body: bytes) -> str:
    if 300 <= status < 400:
        place = headers.get("Location", "an unnamed place")
        return f"{status} redirects to {place}: if that is right, make it the homeserver's address"
    if answer is not None:
        said = answer.get("error")
        words = [str(status), str(answer.get("errcode", "")), said if isinstance(said, str) else ""]
        return " ".join(word for word in words if word)
    start = body[:_EXCERPT].decode(errors="replace").strip()
    return f"{status} with an answer that is not a Matrix error: {start or '(nothing)'}"


def _retry_after_ms(answer: Mapping[str, Any], headers: Mapping[str, str]) -> int:
    """Return how long to wait, in milliseconds.

    The body counts first, as it is exact; Synapse rounds the header up to whole seconds.
    """
    told = answer.get("retry_after_ms")
    if isinstance(told, int | float) and not isinstance(told, bool):
        return _sane(told)
    header = headers.get("Retry-After", "")
    if header.isascii() and header.isdigit():  # the other form, a date, is not what homeservers send
        return _sane(min(int(header[:9]), LONGEST_RETRY_MS) * 1000)
    return DEFAULT_RETRY_MS


def _sane(milliseconds: float) -> int:
    return int(min(max(milliseconds, _SHORTEST_RETRY_MS), LONGEST_RETRY_MS))
