"""How surely it is known who somebody is: the levels, and the level that each method reaches.

Rules kept here: levels are ordered, and the highest in force counts; rooms see no more than whether a level is reached.
Left to others: what a method proves and how (`docs/verification.md`), what a room asks for
(`moderation/people/verification.py`).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

Method = Literal["vouch", "roster", "email", "oidc"]


class Level(IntEnum):
    """How surely."""

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
