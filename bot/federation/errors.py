"""Errors between servers, split by what the caller does next.

| error                | the caller                                                        |
|----------------------|-------------------------------------------------------------------|
| `MalformedPdu`       | refuses the event; it is never signed, and held against nobody      |
| `UnknownRoomVersion` | the same: without the version nobody knows what a signature covers  |
| `Unauthorized`       | answers 401: the request proves no origin                          |
| `ServerUnreachable`  | tries again, later                                                 |
| `ServerRefused`      | gives up, or asks another server: `status` and `errcode` say why     |
"""

from moderation.values.errors import AnswerableError, Invalid


class MalformedPdu(Invalid):
    """Something received is not an event of its room version, or not JSON that all servers read alike."""


class UnknownRoomVersion(MalformedPdu):
    """The rules of a room version are not known here."""


class Unauthorized(Invalid):
    """A request does not prove which server sent it (401)."""


class ServerUnreachable(AnswerableError):
    """No usable answer came from another server. Whether a request took effect is unknown."""


class ServerRefused(AnswerableError):
    """Another server answered with a Matrix error."""

    def __init__(self, status: int, errcode: str, error: str) -> None:
        super().__init__(f"{status} {errcode} {error}".rstrip())
        self.status = status
        self.errcode = errcode
        self.error = error


class TooManyAsked(Unauthorized):
    """Raised if a server proves nothing because too many wait for the keys of servers that are not known yet."""
