"""The fence: a log has one leader, and whatever a former leader still writes is refused by the database itself.

One row in `answerable_shared.shards` says which epoch a log is in. A leader holds the number of its epoch. Each of its
writing transactions begins with `Epoch.check_sql`, which locks that row as shared until the transaction ends and fails
if another epoch has begun. To begin one, the row must be locked alone (`leadership.py`). So every transaction of the
old leader has either ended before the new one begins, and the new one sees it, or it fails.

Rules kept here:
- The check is done by the server; a client that forgets to look at its result is refused all the same.
- No clock is compared with another one.
- The row is never written except to begin an epoch: heartbeats are in a table of their own, or a long transaction
  would hold up the heartbeats that say its process is alive.
Left to others: who becomes the leader and when (`leadership.py`), what a process does when it has lost
(`bot/cli/run.py`).
"""

from dataclasses import dataclass
from typing import Final

from moderation.values.errors import AnswerableError

_SUPERSEDED: Final = "AN001"  # SQLSTATE; class AN belongs to nobody

_CHECK: Final = "SELECT answerable_shared.must_lead"

TABLES: Final = f"""
CREATE SCHEMA IF NOT EXISTS answerable_shared;
CREATE TABLE IF NOT EXISTS answerable_shared.shards (
    name text COLLATE "C" PRIMARY KEY,
    origin text COLLATE "C" NOT NULL,
    vkey text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS answerable_shared.leaders (
    shard text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    beat bigint NOT NULL,
    who text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    resigned boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS answerable_shared.standbys (
    shard text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    who text COLLATE "C" NOT NULL,
    records bigint NOT NULL,
    beat bigint NOT NULL,
    PRIMARY KEY (shard, instance)
);
CREATE OR REPLACE FUNCTION answerable_shared.must_lead(shard text, number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM answerable_shared.shards WHERE name = shard AND epoch = number FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another epoch has begun' USING ERRCODE = '{_SUPERSEDED}';
    END IF;
END $$;
"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The reign of one leader over one log. `shard` is "" for the only log of a deployment."""

    shard: str
    number: int

    @property
    def check_sql(self) -> str:
        """The statement, without parameters, that begins each writing transaction; it returns nothing of use."""
        return f"{_CHECK}({literal(self.shard)}, {self.number})"

    @property
    def application_name(self) -> str:
        """The name of each session of this leader, by which the next one ends them."""
        return f"answerable/{self.shard}/{self.number}"


class Superseded(AnswerableError):
    """Raised if another process leads by now: this one must end at once, without writing anything more."""

    def __init__(self, epoch: Epoch) -> None:
        super().__init__(f"another process leads: epoch {epoch.number} of the log is over")
        self.epoch = epoch


def is_superseded(error: BaseException) -> bool:
    """Tell whether an error of psycopg, or one of SQLAlchemy around it, says that another epoch has begun."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) == _SUPERSEDED


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
