"""Verification levels: how surely it is known who somebody is, and the level that each method reaches.

Rules kept here:
- Levels are ordered, and the highest in force counts.
- Rooms see no more than whether a level is reached.

Left to others: what a method proves and how (`docs/verification.md`), what a room asks for
(`moderation/people/verification.py`).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

Method = Literal["vouch", "roster", "email", "oidc"]


class Level(IntEnum):
    """A verification level: how surely it is known who somebody is."""

    NONE = 0
    CONTROL = 1  # of a mailbox or an account
    KNOWN = 2  # a manager vouched for them, or they are on a roster
    ISSUED = 3  # an issuer that the operator trusts has said so


REACHES: Mapping[Method, Level] = {
    "email": Level.CONTROL,
    "vouch": Level.KNOWN,
    "roster": Level.KNOWN,
    "oidc": Level.ISSUED,
}
