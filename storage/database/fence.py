"""The fence: a log has one leader, and the database itself refuses what a former leader still writes.

One row in `answerable_shared.shards` says which epoch a log is in, and who holds it. A leader has the number of its
epoch and a random token: a copy of the database that was behind, or a backup, may give the same number again, and two
leaders of one number must not take each other's place. Each writing transaction of a leader begins with
`Epoch.check_sql`, which locks that row as shared until the transaction ends and fails if another epoch has begun. To
begin one, the row must be locked alone (`leadership.py`). So every transaction of the old leader has either ended
before the new one begins, and the new one sees it, or it fails.

Rules kept here:
- The check is done by the server; a client that forgets to look at its result is refused all the same.
- No clock is compared with another one.
- The row is never written except to begin an epoch: heartbeats are in a table of their own, or a long transaction
  would hold up the heartbeats that say its process is alive.
Left to others: the tables (`shared_tables.py`), who becomes the leader and when (`leadership.py`), what a process does
when it has lost the lead (`bot/cli/run.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from moderation.values.errors import AnswerableError, Refused

SUPERSEDED: Final = "AN001"  # SQLSTATE; class AN belongs to nobody

_CHECK: Final = "SELECT answerable_shared.must_lead"


@dataclass(frozen=True, slots=True)
class Epoch:
    """The time in which one leader leads one log. `shard` is "" for the only log of a deployment.

    `holder`: a token that no other epoch has.
    `lost` is called as soon as anything finds that it is over; in a process of the bot it does not return.
    """

    shard: str
    number: int
    holder: str
    lost: Callable[[], object] = field(default=lambda: None, compare=False, repr=False)

    @property
    def check_sql(self) -> str:
        """The statement, without parameters, that begins each writing transaction; it returns nothing of use."""
        return f"{_CHECK}({literal(self.shard)}, {self.number}, {literal(self.holder)})"

    @property
    def application_name(self) -> str:
        """The name of each session of this leader, by which the next one ends them."""
        return sessions_of(self.shard, self.number)

    def superseded(self) -> "Superseded":
        """Return the error to raise once a statement was refused as `is_superseded` tells."""
        self.lost()
        return Superseded(self)


class Superseded(AnswerableError):
    """Raised if another process leads by now: this one must end at once, without writing anything more."""

    def __init__(self, epoch: Epoch) -> None:
        super().__init__(f"another process leads: epoch {epoch.number} of the log is over")
        self.epoch = epoch


class LedElsewhere(Refused):
    """Raised if another process leads while this one starts. `who`: its machine."""

    def __init__(self, who: str) -> None:
        super().__init__("cli.run.another_leads", who=who)


def is_superseded(error: BaseException) -> bool:
    """Tell whether an error of psycopg, or one of SQLAlchemy around it, says that another epoch has begun."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) == SUPERSEDED


def sessions_of(shard: str, number: int) -> str:
    """Return the name of the sessions of all leaders that had this number."""
    return f"answerable/{shard}/{number}"


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
