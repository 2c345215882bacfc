"""The blinded index: whether an identifier was used before can be asked, what it is cannot be read.

Rules kept here: one identifier has one spelling, so that nobody verifies twice by writing it otherwise, and the
addresses of one mailbox, which differ in a tag, are one identifier; what an issuer
gives out (a subject of OpenID Connect) is taken as it is, since case matters there (OpenID Connect Core 1.0, 2);
without the index key the blinded form tells nothing, not even by trying all telephone numbers.
Left to others: whether the person controls it (the methods of verification), keeping it (`store.py`).
"""

import hmac
import unicodedata

from .sealing import joined

_AS_IT_IS = frozenset({"oidc"})
_ADDRESSES = frozenset({"email"})


def normalised(method: str, identifier: str) -> str:
    """The one spelling of an identifier: without regard to case, width and space, except where an issuer made it."""
    if method in _AS_IT_IS:
        return identifier
    plain = " ".join(unicodedata.normalize("NFKC", identifier).casefold().split())
    return _address(plain) if method in _ADDRESSES else plain


def mailbox(address: str) -> str:
    """Return a normalised address without the tag that many providers deliver to the same mailbox (``name+tag@``)."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"


def blinds(index_key: bytes, method: str, issuer: str, identifier: str) -> tuple[bytes, ...]:
    """Return under which marks an identifier may be kept: as it is marked now, then as older versions marked it.

    A mark is the HMAC-SHA256 of method, issuer and the normalised identifier, each behind its length.
    """
    name = normalised(method, identifier)
    names = (mailbox(name), name) if method in _ADDRESSES else (name,)
    return tuple(hmac.digest(index_key, joined(method, issuer, each), "sha256") for each in dict.fromkeys(names))


def _address(plain: str) -> str:
    local, at, domain = plain.rpartition("@")
    try:
        return f"{local}{at}{domain.encode('idna').decode()}"  # RFC 3490: one domain, whichever way it is typed
    except UnicodeError:
        return plain
