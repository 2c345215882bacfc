"""What came of a request, written before the bot was stopped in the middle of writing: its outcome is missing.

The request is repeated after the start, and the homeserver knows it; what came of it must not be recorded twice.
Rule kept here: only requests that waited at the start can be the one; what comes of later ones is always new.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from moderation.model.facts import Fact


@dataclass(slots=True)
class CutShort:
    """The facts, and the transaction ids of the requests that waited at the start."""

    facts: list[Fact] = field(default_factory=list)
    waited: Collection[str] = ()

    def without(self, facts: Sequence[Fact], txn: str) -> list[Fact]:
        """Those of the facts that came of a request which do not stand in the journal already."""
        if txn not in self.waited:
            return list(facts)
        fresh = []
        for fact in facts:
            if fact in self.facts:
                self.facts.remove(fact)
            else:
                fresh.append(fact)
        return fresh
