"""Entries in the ledgers of credit and standing."""

from typing import Literal

from moderation.policy import Grade
from moderation.values.ids import UserId

from .base import Fact, person

Ledger = Literal["credit", "standing"]


class CreditChanged(Fact, kind="credit", changes="people alone"):
    """An entry in somebody's ledger. For a compensation, `undoes` is the record of the entry it undoes.

    `ledger` "standing": that of those who run a group; classes of violation do not apply there (`grade` "-"). `reach`:
    where it counts, the whole deployment ("") or the rooms of a community (`moderation/model/reach.py`).
    """

    entry: Literal["charge", "warning", "compensation"]
    cost: int
    grade: Grade | Literal["-"]
    rule: str
    n: int = 0  # the case; 0 if there is none
    ledger: Ledger = "credit"
    undoes: int = -1
    reach: str = ""
    left: int  # the balance with this entry, at that moment, in the room
    subject: UserId = person()


class BalanceCorrected(Fact, kind="credit"):
    """The balance given by the entry recorded at `start` was wrong: it says `told`, the true one is `left`.

    The entry itself counts as it always did.
    """

    step: Literal["corrected"] = "corrected"
    start: int
    ledger: Ledger = "credit"
    told: int
    left: int
    n: int = 0  # the case; 0 if there is none
    subject: UserId = person()


class EntryConfirmed(Fact, kind="credit"):
    """An operator confirms a decision by the people of a room: the entry recorded at `start` now counts everywhere."""

    step: Literal["confirmed"] = "confirmed"
    start: int
    ledger: Ledger = "credit"
    n: int = 0  # the case
    subject: UserId = person()
    by: UserId = person()
