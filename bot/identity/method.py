"""The port of a verification method: its calls and their results.

Rules kept here:
- A method never stores anything and never sends messages to the person: it returns what to tell the person, what to
  remember, and what was proved.
- What it remembers is sealed before it is stored.
- It may take long (a mail, an issuer), so it is never called inside a unit of work.
Left to others: the dialogue (`dialogue.py`), storing what was proved (`storage/identity/store.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from moderation.values.ids import UserId
from moderation.values.notices import Line

MethodName = Literal["vouch", "roster", "email", "oidc"]


@dataclass(frozen=True, slots=True)
class ProvedIdentity:
    """A proof: an identifier that belongs to one person at one issuer, and further claims."""

    issuer: str  # "" for our own methods: the roster, our mail
    identifier: str  # stored in the clear only as a blind index
    claims: Mapping[str, str] = field(default_factory=dict)  # stored sealed: name, email, phone, subject ...
    until_ms: int = 0  # end of its validity; 0: as for all proofs of the method
    level: int = 0  # 0: the method's level


@dataclass(frozen=True, slots=True)
class DialogueStep:
    """The result of one call of a method.

    `state` (JSON-ready) is kept until `until_ms`, for the next answer or for the method's own `poll`; None ends the
    dialogue. `proof` ends it too.
    """

    lines: tuple[Line, ...] = ()
    state: Mapping[str, str | int] | None = None
    until_ms: int = 0
    poll_ms: int = 0  # poll after this time, without the person (an issuer's device flow); 0: never
    proof: ProvedIdentity | None = None


class Method(Protocol):
    """One way of proving an identity."""

    name: MethodName
    level: int  # docs/verification.md

    async def begin(self, user: UserId, words: str, now_ms: int) -> DialogueStep:
        """Begin, for `!verify METHOD words`. Raises `Refused`, saying what was wrong and what to do."""
        ...

    async def answer(self, user: UserId, words: str, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:
        """Take the person's next message. Raises `Refused`; the dialogue then stays where it was."""
        ...

    async def poll(self, user: UserId, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:
        """Return what has happened meanwhile."""
        ...


@runtime_checkable
class Addressed(Protocol):
    """A method that writes to an address: attempts are limited for each address too."""

    def address(self, words: str) -> str:
        """Return the canonical spelling of the address in `words`. Raises `Refused`."""
        ...


class Unavailable(Exception):
    """Raised if a server that the method needs does not answer; `why` names no person and repeats nothing typed."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
