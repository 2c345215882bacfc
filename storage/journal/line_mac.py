"""A MAC for each line of the table: write access to the database is not enough to forge lines, without the log's key.

Rules kept here:
- It is HMAC-SHA256 (RFC 2104) over shard, index, day and line. HKDF (RFC 5869) derives its key from the signing key.
- An earlier form of a line, from before an erasure, keeps its MAC: this is no proof that a line is the newest form.
Left to others: the table (`postgresql_lines.py`), what a line says (`line_format.py`).
"""

import hmac
from dataclasses import dataclass, field

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .line_log import Unproved

_PURPOSE = b"answerable: lines of the log in the table"


@dataclass(frozen=True, slots=True)
class LineKey:
    """The key of the lines of one shard; `repr` does not show it."""

    shard: str
    key: bytes = field(repr=False)

    @classmethod
    def derived(cls, seed: bytes, shard: str) -> "LineKey":
        """Derive the key from the seed of the log's signing key."""
        return cls(shard, HKDF(SHA256(), 32, None, _PURPOSE).derive(seed))

    def mac(self, index: int, day: str, line: bytes) -> bytes:
        """Return the MAC of a line at its place. JSON keeps the fields apart."""
        return hmac.digest(self.key, orjson.dumps([self.shard, index, day]) + b"\n" + line, "sha256")

    def check(self, index: int, day: str, line: bytes, mac: bytes) -> None:
        """Check the MAC of a line. Raises `Unproved`."""
        if not hmac.compare_digest(self.mac(index, day, line), mac):
            raise Unproved(index)
