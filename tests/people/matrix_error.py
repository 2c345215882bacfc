"""The homeserver's refusals, as the people of the tests raise them."""

from typing import Any

Json = dict[str, Any]


class MatrixError(Exception):
    """The homeserver refused a request."""

    def __init__(self, request: str, status: int, answer: Json) -> None:
        self.status = status
        self.errcode = str(answer.get("errcode", ""))
        self.error = str(answer.get("error", ""))
        self.retry_after_ms = answer.get("retry_after_ms")
        super().__init__(f"{request}: {status} {self.errcode} {answer.get('error', '')}".rstrip())
