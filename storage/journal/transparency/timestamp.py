"""Time stamps by a third party (RFC 3161): makes the request, and checks that a response answers it.

The stamp is over the SHA-256 of the closing checkpoint as the log signed it: its text, the empty line and the log's
own signature line, five lines in all. Lines that witnesses add later do not change it, so anybody can check with
`head -n 5 DAY.ckpt > note; openssl ts -verify -data note -in DAY.tsr -CAfile ...`.

An answer must say "granted", repeat the hash and, if it answers a request of ours, repeat the nonce.
Left to others: the authority's own signature, which depends on the root certificates that the reader chooses; sending
(`bot/matrix/other_servers.py`).
"""

from dataclasses import dataclass
from hashlib import sha256

from cryptography.x509 import ObjectIdentifier
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, TimeStampResponse, decode_timestamp_response

from moderation.values.errors import Invalid

REQUEST_TYPE = "application/timestamp-query"
MAX_BYTES = 65_536
_GRANTED = (0, 1)  # granted, granted with modifications
_SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")


@dataclass(frozen=True, slots=True)
class TimestampRequest:
    """The request to send, and the number that the answer must repeat."""

    data: bytes
    nonce: int


def request(note: str) -> TimestampRequest:
    """Build a request for a stamp of `note`.

    The answer shall contain the authority's certificate, so that it can be checked for a long time.
    """
    builder = TimestampRequestBuilder().data(note.encode()).hash_algorithm(HashAlgorithm.SHA256)
    made = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    assert made.nonce is not None, "it was asked for"
    return TimestampRequest(made.as_bytes(), made.nonce)


def check(response: bytes, note: str, nonce: int | None = None) -> int:
    """Return the time at which `note` was stamped (seconds since 1970). Raises `Invalid` if this is no stamp of it."""
    if len(response) > MAX_BYTES:
        raise Invalid("time stamp: too long")
    try:
        return _check(decode_timestamp_response(response), note, nonce)
    except ValueError as error:
        raise Invalid("time stamp: this is no answer of a time stamping authority") from error


def _check(response: TimeStampResponse, note: str, nonce: int | None) -> int:
    if response.status not in _GRANTED:
        raise Invalid(f"time stamp: refused (status {response.status})")
    info = response.tst_info
    if info.message_imprint.hash_algorithm != _SHA256:
        raise Invalid("time stamp: of another kind of hash than was asked for")
    if info.message_imprint.message != sha256(note.encode()).digest():
        raise Invalid("time stamp: of something else")
    if nonce is not None and info.nonce != nonce:
        raise Invalid("time stamp: the answer to another request")
    return int(info.gen_time.timestamp())
