"""The blinded index: it tells whether an identifier was used before, but not what it is.

Rules kept here:
- One identifier has one spelling, so that nobody verifies twice by writing it otherwise; the addresses of one mailbox
  that differ in a tag are one identifier.
- What an issuer gives out (a subject of OpenID Connect) is taken as it is, since case matters there (OpenID Connect
  Core 1.0, 2).
- Without the index key the blinded form tells nothing, not even by trying all telephone numbers.

Left to others: whether the person controls it (the methods of verification), keeping it (`store.py`).
"""

import hmac
import unicodedata

from .sealing import joined

_AS_IT_IS = frozenset({"oidc"})
_ADDRESSES = frozenset({"email"})


def normalised(method: str, identifier: str) -> str:
    """Return the one spelling of an identifier: ignoring case, width and space, unless an issuer made it."""
    if method in _AS_IT_IS:
        return identifier
    plain = " ".join(unicodedata.normalize("NFKC", identifier).casefold().split())
    return _address(plain) if method in _ADDRESSES else plain


def mailbox(address: str) -> str:
    """Return a normalised address without the tag that many providers deliver to the same mailbox (``name+tag@``)."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"


def blinds(index_key: bytes, method: str, issuer: str, identifier: str) -> tuple[bytes, ...]:
    """Return the marks under which an identifier may be kept: the present one, then those of older versions.

    A mark is the HMAC-SHA256 of method, issuer and the normalised identifier, each preceded by its length.
    """
    name = normalised(method, identifier)
    names = (mailbox(name), name) if method in _ADDRESSES else (name,)
    return tuple(hmac.digest(index_key, joined(method, issuer, each), "sha256") for each in dict.fromkeys(names))


def _address(plain: str) -> str:
    local, at, domain = plain.rpartition("@")
    try:
        return f"{local}{at}{domain.encode('idna').decode()}"  # RFC 3490: one domain, however it is typed
    except UnicodeError:
        return plain
