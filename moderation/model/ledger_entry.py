"""One line of a ledger of credit or standing: what it cost whom, when, for which rule and case."""

from dataclasses import dataclass
from typing import Literal

from moderation.policy import Grade
from moderation.values.ids import PersonId, RoomId

EntryKind = Literal["charge", "warning", "compensation"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of a ledger. Never changed: what was wrong is undone by another line."""

    id: int  # in the order of writing
    person: PersonId
    at_ms: int
    entry: EntryKind
    cost: int  # points taken; 0 for warnings and compensations
    grade: Grade | None  # None where classes of violation do not apply, as in the managers' ledger
    rule: str
    case: int | None
    room: RoomId | None
    undoes: int | None = None  # a compensation: the id of the entry that is to have no effect
    reach: str = ""  # where it counts (`reach.py`)
