"""Tokens: what somebody holds who is let in, such as a link or a cookie.

Rules kept here:
- A token is 32 random bytes. It is kept nowhere; what is kept is its SHA-256, under which it is found.
"""

import hashlib
import re
import secrets

_TOKEN = re.compile(r"[0-9a-f]{64}\Z")


def new_token() -> str:
    """Return a new token."""
    return secrets.token_hex(32)


def hashed(token: str) -> str:
    """Return the name under which a token is known; "" if it is none."""
    return hashlib.sha256(token.encode()).hexdigest() if _TOKEN.match(token) else ""
