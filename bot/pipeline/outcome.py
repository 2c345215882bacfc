"""Facts that no event caused, and what is queued and written with them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions.base import Action
from moderation.model.facts import Fact


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Facts that no event caused, and what is queued and written with them (`Pipeline.commit`)."""

    facts: tuple[Fact, ...] = ()
    actions: tuple[Action, ...] = ()
    also: Callable[[AsyncConnection], Awaitable[None]] | None = None
    of_row: str | None = None


# Facts of one cause; after a crash they are found again by the record that caused them.
_OF_CASES = frozenset(
    {"case", "decision", "sanction", "credit", "task", "appeal", "report", "dossier", "verify", "list", "learnt"}
)


def with_one_cause(facts: Sequence[Fact], first: int) -> tuple[Fact, ...]:
    """Make the first of the facts, to be recorded at `first`, the cause of those that time or an operator caused."""
    return tuple(replace(fact, on=first) if fact.KIND in _OF_CASES and fact.on < 0 else fact for fact in facts)
