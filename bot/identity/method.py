"""The port of a method of verification: what it is asked, and what it answers.

Rules kept here: a method never writes, and never speaks: it says what to tell the person, what to remember, and what
was proved; what it remembers is sealed before it is kept; it may take its time (a mail, an issuer), so it is
never called in a writing turn. Left to others: the dialogue (`dialogue.py`), keeping what was proved
(`storage/identity/store.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from moderation.values.ids import UserId
from moderation.values.notices import Line

MethodName = Literal["vouch", "roster", "email", "oidc"]


@dataclass(frozen=True, slots=True)
class ProvedIdentity:
    """What was proved: an identifier that belongs to one person at one issuer, and what goes with it."""

    issuer: str  # "" for our own: the roster, our mail
    identifier: str  # blinded before it is kept in the clear
    claims: Mapping[str, str] = field(default_factory=dict)  # sealed: name, email, phone, subject ...
    until_ms: int = 0  # how long it holds; 0: as long as the method's proofs do
    level: int = 0  # 0: the method's


@dataclass(frozen=True, slots=True)
class DialogueStep:
    """Where a dialogue stands after the method was asked something.

    `state` (JSON-ready) is kept until `until_ms`, for the next answer or for the method's own `poll`; None ends the
    dialogue. `proof` ends it too.
    """

    lines: tuple[Line, ...] = ()
    state: Mapping[str, str | int] | None = None
    until_ms: int = 0
    poll_ms: int = 0  # look again after this time, without the person (an issuer's device flow); 0: never
    proof: ProvedIdentity | None = None


class Method(Protocol):
    """One way of proving who one is."""

    name: MethodName
    level: int  # docs/verification.md

    async def begin(self, user: UserId, words: str, now_ms: int) -> DialogueStep:
        """`!verify METHOD words`. Raises `Refused`, saying what was wrong and what to do."""
        ...

    async def answer(self, user: UserId, words: str, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:
        """What the person says next. Raises `Refused`; the dialogue then stands where it stood."""
        ...

    async def poll(self, user: UserId, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:
        """What has become of it meanwhile."""
        ...


@runtime_checkable
class Addressed(Protocol):
    """A method that writes to somebody: how often is limited for each address, too."""

    def address(self, words: str) -> str:
        """The one spelling of the address that `words` name. Raises `Refused`."""
        ...


class Unavailable(Exception):
    """Whoever the method asks gives no answer now; `why` names no person and repeats nothing that was typed."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
