"""A time stamping authority on loopback (RFC 3161), with a key and a certificate of its own.

It shares no code with the product. `openssl ts -verify` accepts its stamps, which is how it is tested. `mischief` makes
it stamp wrongly in one way.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Literal

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.fakes.local_server import LocalServer

Mischief = Literal["", "refuse", "imprint", "nonce", "algorithm", "garbage", "error", "long"]

_SHA256, _SHA512 = "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.3"
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _DIGEST, _SIGNING_CERTIFICATE = (
    "1.2.840.113549.1.9.3",
    "1.2.840.113549.1.9.4",
    "1.2.840.113549.1.9.16.2.47",
)
_SEQUENCE, _SET, _INTEGER, _OCTETS, _OID, _TIME = 0x30, 0x31, 0x02, 0x04, 0x06, 0x18


class FakeTsa(LocalServer):
    """Use as ``async with FakeTsa() as tsa``; `tsa.url` is its address."""

    def __init__(self, when: dt.datetime = dt.datetime(2026, 11, 25, 0, 0, 7, tzinfo=dt.UTC)) -> None:
        super().__init__("/tsr")
        self.mischief: Mischief = ""
        self.requests: list[bytes] = []
        self._when = when
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _certificate(self._key, when)

    @property
    def pem(self) -> bytes:
        """Its certificate, which is its own root."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def respond(self, request: bytes) -> bytes:
        """Answer a TimeStampReq with a TimeStampResp."""
        if self.mischief == "refuse":
            return _tlv(_SEQUENCE, _tlv(_SEQUENCE, _integer(2)))
        if self.mischief == "garbage":
            return b"<html>no</html>"
        info = self._info(_parsed(request))
        token = _tlv(_SEQUENCE, _oid(_SIGNED_DATA) + _tlv(0xA0, self._signed(info)))
        return _tlv(_SEQUENCE, _tlv(_SEQUENCE, _integer(0)) + token)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(body)
        if self.mischief == "error" or request.content_type != "application/timestamp-query":
            return web.Response(status=500)
        answer = b"x" * 200_000 if self.mischief == "long" else self.respond(body)
        return web.Response(body=answer, content_type="application/timestamp-reply")

    def _info(self, asked: "_Asked") -> bytes:
        digest = hashlib.sha256(b"else").digest() if self.mischief == "imprint" else asked.digest
        nonce = asked.nonce + (self.mischief == "nonce")
        if self.mischief == "algorithm":
            digest, algorithm = hashlib.sha512(digest).digest(), _SHA512
        else:
            algorithm = _SHA256
        return _tlv(
            _SEQUENCE,
            _integer(1)
            + _oid("1.2.3.4")
            + _tlv(_SEQUENCE, _algorithm(algorithm) + _tlv(_OCTETS, digest))
            + _integer(1)
            + _tlv(_TIME, self._when.strftime("%Y%m%d%H%M%SZ").encode())
            + _integer(nonce),
        )

    def _signed(self, info: bytes) -> bytes:
        """Return CMS SignedData with one signer and its certificate."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        certificate_hash = _tlv(
            _SEQUENCE, _tlv(_SEQUENCE, _tlv(_SEQUENCE, _tlv(_OCTETS, hashlib.sha256(der).digest())))
        )
        attributes = b"".join(
            sorted(
                (
                    _attribute(_CONTENT_TYPE, _oid(_TST_INFO)),
                    _attribute(_DIGEST, _tlv(_OCTETS, hashlib.sha256(info).digest())),
                    _attribute(_SIGNING_CERTIFICATE, certificate_hash),
                )
            )
        )
        signature = self._key.sign(_tlv(_SET, attributes), ec.ECDSA(hashes.SHA256()))
        signer = _tlv(
            _SEQUENCE,
            _integer(1)
            + _tlv(_SEQUENCE, self.certificate.issuer.public_bytes() + _integer(self.certificate.serial_number))
            + _algorithm(_SHA256)
            + _tlv(0xA0, attributes)
            + _algorithm(_ECDSA_SHA256, null=False)
            + _tlv(_OCTETS, signature),
        )
        return _tlv(
            _SEQUENCE,
            _integer(3)
            + _tlv(_SET, _algorithm(_SHA256))
            + _tlv(_SEQUENCE, _oid(_TST_INFO) + _tlv(0xA0, _tlv(_OCTETS, info)))
            + _tlv(0xA0, der)
            + _tlv(_SET, signer),
        )


@dataclass(frozen=True)
class _Asked:
    digest: bytes
    nonce: int


def _parsed(request: bytes) -> _Asked:
    """Parse version, imprint (algorithm, digest), nonce, certReq, which come in this order if there is no policy."""
    _, fields = _read(request)[0]
    (_, version), (_, imprint), (kind, nonce), *_ = _read(fields)
    (_, algorithm), (_, digest) = _read(imprint)
    assert version == b"\x01"
    assert kind == _INTEGER
    assert _tlv(*_read(algorithm)[0]) == _oid(_SHA256)
    return _Asked(digest, int.from_bytes(nonce, "big"))


def _read(data: bytes) -> list[tuple[int, bytes]]:
    """Return the consecutive tags and values."""
    found = []
    while data:
        tag, length, rest = data[0], data[1], data[2:]
        if length & 0x80:
            width = length & 0x7F
            length, rest = int.from_bytes(rest[:width], "big"), rest[width:]
        found.append((tag, rest[:length]))
        data = rest[length:]
    return found


def _tlv(tag: int, value: bytes) -> bytes:
    if len(value) < 0x80:
        return bytes((tag, len(value))) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value


def _integer(value: int) -> bytes:
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytearray((first * 40 + second,))
    for arc in rest:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        encoded += bytes(reversed(groups))
    return _tlv(_OID, bytes(encoded))


def _algorithm(dotted: str, *, null: bool = True) -> bytes:
    return _tlv(_SEQUENCE, _oid(dotted) + (b"\x05\x00" if null else b""))


def _attribute(dotted: str, value: bytes) -> bytes:
    return _tlv(_SEQUENCE, _oid(dotted) + _tlv(_SET, value))


def _certificate(key: ec.EllipticCurvePrivateKey, when: dt.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A time stamping authority")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(when - dt.timedelta(days=1))
        .not_valid_after(when + dt.timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(key, hashes.SHA256())
    )
