"""The facts of a request whose outcome record was lost when the bot was stopped in the middle of writing.

The request is repeated after the start, and the homeserver recognises it; its facts must not be recorded twice.

Rules kept here:
- Only a request that waited at the start can be the one; the facts of later requests are always new.
- What was found out about a file first, holds: a plug-in may say something else when it is asked again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from moderation.model.facts import Fact, KnownOfFile


@dataclass(slots=True)
class InFlight:
    """The facts whose outcome record is missing, and the transaction ids of the requests that waited at the start."""

    facts: list[Fact] = field(default_factory=list)
    waited: Collection[str] = ()

    def begin(self, facts: Sequence[Fact], waited: Collection[str]) -> None:
        """Take the facts that a stop left without an outcome record, and the requests that waited then."""
        self.facts, self.waited = list(facts), waited

    def without(self, facts: Sequence[Fact], txn: str) -> list[Fact]:
        """Return those of a request's facts that the journal does not have yet."""
        if txn not in self.waited:
            return list(facts)
        fresh = []
        for fact in facts:
            known = next((each for each in self.facts if _says_the_same(each, fact)), None)
            if known is None:
                fresh.append(fact)
            else:
                self.facts.remove(known)
        return fresh


def _says_the_same(recorded: Fact, fact: Fact) -> bool:
    if isinstance(recorded, KnownOfFile) and isinstance(fact, KnownOfFile):
        return _file_of(recorded) == _file_of(fact)
    return recorded == fact


def _file_of(fact: KnownOfFile) -> tuple[object, ...]:
    return type(fact), fact.room, fact.on, fact.url, getattr(fact, "plugin", "")
