"""The joint checkpoints in PostgreSQL, and the closing checkpoints that they are made of.

Rules kept here:
- A day has one joint checkpoint: the first that is put there stays, whichever shard made it.
- Each shard enters its own closing checkpoints, with their days (`transparency/dated_closing.py`).
- Only the leader of a shard's log writes there (`storage/database/fence.py`), and that is durable on return.
- What is read here proves nothing by itself: who reads it checks it.
- If the server cannot be used, `DatabaseRefused` is raised.

Left to others: what a joint checkpoint is (`transparency/joint_checkpoint.py`), the tables
(`storage/database/shared_tables.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from moderation.values.errors import Broken
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.postgresql import changing, connected

_THERE: Final = "SELECT to_regclass('answerable_shared.joint_checkpoints')::text"
_OF_DAY: Final = "SELECT note FROM answerable_shared.joint_checkpoints WHERE day = %s"
_OF_ROOT: Final = "SELECT note FROM answerable_shared.joint_checkpoints WHERE root = %s ORDER BY day DESC LIMIT 1"
_IS_OVER: Final = "SELECT now() >= (%s::date + 1)::timestamp AT TIME ZONE 'UTC' + make_interval(secs => %s)"
_PUT: Final = """
INSERT INTO answerable_shared.joint_checkpoints (day, root, note, shard) VALUES (%s, %s, %s, %s)
ON CONFLICT (day) DO NOTHING
"""
_CLOSINGS: Final = """
SELECT s.name, s.vkey, c.note FROM answerable_shared.shards s
JOIN answerable_shared.closings c ON c.shard = s.name AND c.day = %s
WHERE s.name = ANY(%s::text[]) ORDER BY s.name
"""
_ENTER: Final = """
INSERT INTO answerable_shared.closings (day, shard, note) VALUES (%s, %s, %s)
ON CONFLICT (day, shard) DO UPDATE SET note = excluded.note
"""


@dataclass(frozen=True, slots=True)
class SharedClosing:
    """A dated closing checkpoint as the database has it: the shard's name, its key as entered there, the note."""

    shard: str
    vkey: str
    note: str


class JointTable:
    """The joint checkpoints of the shards of one database. Calls are synchronous; each has a session of its own."""

    def __init__(self, place: DatabasePlace, epoch: Epoch | None = None) -> None:
        """Take the place of one shard. Without an epoch nothing can be put there."""
        self._place = place
        self._epoch = epoch

    def of_day(self, day: str) -> str | None:
        """Return the note of a day; None if there is none."""
        return self._note(_OF_DAY, day)

    def of_root(self, root: str) -> str | None:
        """Return the note that has this root (base64); None if there is none."""
        return self._note(_OF_ROOT, root)

    def closings(self, day: str, shards: Sequence[str]) -> list[SharedClosing]:
        """Return the closing checkpoints that these shards have entered for a day."""
        with connected(self._place) as db:
            rows = db.execute(_CLOSINGS, (day, list(shards))).fetchall()
        return [SharedClosing(*map(str, row)) for row in rows]

    def is_over(self, day: str, for_ms: int) -> bool:
        """Tell whether a day (UTC) has been over for this long by the server's clock."""
        with connected(self._place) as db:
            return db.execute(_IS_OVER, (day, for_ms / 1000)).fetchone() == (True,)

    def put(self, day: str, root: str, note: str) -> None:
        """Keep the note of a day, unless it has one. Raises `Superseded` if another process leads by now."""
        epoch = self._must_lead()
        with changing(self._place, epoch) as db:
            db.execute(_PUT, (day, root, note, epoch.shard))

    def enter(self, day: str, note: str) -> None:
        """Keep this shard's closing checkpoint of a day, in place of any other. Raises `Superseded`."""
        epoch = self._must_lead()
        with changing(self._place, epoch) as db:
            db.execute(_ENTER, (day, epoch.shard, note))

    def _must_lead(self) -> Epoch:
        epoch = self._epoch
        if epoch is None:
            raise Broken("the joint checkpoints were opened for reading only")
        return epoch

    def _note(self, sql: str, value: str) -> str | None:
        with connected(self._place) as db:
            if db.execute(_THERE).fetchone() == (None,):
                return None
            row = db.execute(sql, (value,)).fetchone()
        return str(row[0]) if row else None
