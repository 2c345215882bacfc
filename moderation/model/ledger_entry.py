"""One entry of a ledger of credit or standing: its cost, person, time, rule and case."""

from dataclasses import dataclass
from typing import Literal

from moderation.policy import Grade
from moderation.values.ids import PersonId, RoomId

EntryKind = Literal["charge", "warning", "compensation"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of a ledger. It never changes: an error is undone by another entry."""

    id: int  # in the order of writing
    person: PersonId
    at_ms: int
    entry: EntryKind
    cost: int  # points taken; 0 for warnings and compensations
    grade: Grade | None  # None if classes of violation do not apply, as in the managers' ledger
    rule: str
    case: int | None
    room: RoomId | None
    undoes: int | None = None  # of a compensation: the id of the entry that it undoes
    reach: str = ""  # where it counts (`reach.py`)
