"""The number and the digest of a table's rows, by which two copies are compared.

Rules kept here:
- A digest covers each value with its kind, in the order of the key.
"""

from hashlib import sha256
from typing import Any, NamedTuple

Row = tuple[Any, ...]


class Fingerprint(NamedTuple):
    """The number of rows of a table, and the SHA-256 of all of them in hexadecimal."""

    rows: int
    digest: str


class RowDigest:
    """Rows as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = sha256()

    def add(self, rows: list[Row]) -> None:
        """Count rows in."""
        self.rows += len(rows)
        self._digest.update("".join(map(repr, rows)).encode())

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the rows so far."""
        return Fingerprint(self.rows, self._digest.hexdigest())
