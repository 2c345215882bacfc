"""Claims in the identity store: their values, and the places that seals are bound to.

Rules kept here:
- What a person proved is in no `repr`.
- A seal binds each row's person, method, issuer, blinded identifier and times together.
- A seal binds each value to its claim, person, method, issuer and field.

Left to others: sealing (`sealing.py`), keeping (`store.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from moderation.values.errors import Invalid, Refused
from moderation.values.ids import PersonId

from .keyring import Lock

COLUMNS = "id, person, method, issuer, blind, created, expires, seal, record"
_FIELD = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")


class Taken(Refused):
    """The identifier already belongs to another person: a second account of theirs, or a mistake."""

    def __init__(self, person: PersonId) -> None:
        super().__init__("identity.taken")
        self.person = person


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClaim:
    """A claim that somebody proved.

    `issuer` says who vouches for it, not who it is about; `record` may be noted later.
    """

    person: PersonId
    method: str
    issuer: str
    identifier: str = field(repr=False)  # unique to one person: an address, a subject; kept only blinded
    fields: Mapping[str, str] = field(repr=False)  # name, email, phone ...
    created_ms: int
    expires_ms: int
    record: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An opened claim from the store. Without `fields` only the mark is left that the identifier was used."""

    id: str
    person: PersonId
    method: str
    issuer: str
    fields: Mapping[str, str] = field(repr=False)
    created_ms: int
    expires_ms: int
    record: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldClaim:
    """A claim as far as it is known without opening it."""

    id: str
    person: PersonId
    created_ms: int
    record: int
    fields: int  # number of fields


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityStoreState:
    """The state of the store.

    `key`: the id of the key that was given; `used`: the ids of the keys that wrap what is there.
    """

    lock: Lock
    key: str
    used: tuple[str, ...]
    changing_to: str
    left: int  # keys still to be wrapped by the given key
    persons: int
    claims: int
    forgotten: int  # persons, since the present key is in use


@dataclass(frozen=True, slots=True)
class Row:
    """A claim's row in the table, and the places its seals are bound to."""

    id: str
    person: str
    method: str
    issuer: str
    blind: bytes
    created: int
    expires: int
    seal: bytes = b""
    record: int = -1

    @property
    def place(self) -> tuple[str, ...]:
        """The place of the seal that binds the row together."""
        times = (str(self.created), str(self.expires))
        return ("claim", self.id, self.person, self.method, self.issuer, self.blind.hex(), *times)

    def field(self, name: str) -> tuple[str, ...]:
        """Return the place of the seal of one value."""
        return ("field", self.id, self.person, self.method, self.issuer, name)


def check(claim: NewClaim) -> None:
    """Raise `Invalid` if the claim cannot be kept."""
    for name in claim.fields:
        if not _FIELD.match(name):
            raise Invalid(f"identity store: {name[:40]!r} is not a name of a field")
    if not claim.identifier.strip():
        raise Invalid("identity store: a claim needs an identifier, or nobody could say whose it is")
    try:
        "".join((claim.identifier, *claim.fields.values())).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        raise Invalid("identity store: what stands in the claim is no text") from None
