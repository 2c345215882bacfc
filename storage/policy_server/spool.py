"""The bot's view of the policy server's database: refusals to record, and the rooms that were joined.

Rules kept here:
- Nothing is written. The policy server removes a refusal once the bot has noted, in its own tables, that it recorded it
  (`meta.policy_seq`).
- A database that is not there, or is being made, has nothing to tell.

Left to others: the tables (`tables.py`), recording (`bot/pipeline/`).
"""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from moderation.values.ids import EventId, RoomId

from .tables import FOLDER, open_to_read, path_of

EVENT_KEY_FILE = "event.pub"  # beside the database
RULES_FILE = "rules.digest"  # of the policy that the running process has read
PRIVATE_KEY_FILES = ("event.key", "server.key")
META_SEQ = "policy_seq"  # the name in the bot's table `meta`: the number of the last refusal it has recorded


@dataclass(frozen=True, slots=True)
class RefusalNote:
    """A refusal as the policy server noted it (`bot/pipeline/withheld.py`)."""

    seq: int
    at_ms: int
    event_id: EventId
    note: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TriedRoom:
    """A room that the policy server's user has joined, or tried to.

    `joined_ms` 0: not yet, or left again. `why`: the reason of the last failure, as the other server gave it.
    """

    room: RoomId
    version: str
    joined_ms: int
    tried_ms: int
    why: str

    @property
    def left(self) -> bool:
        """True if it was left, and not because joining it again failed."""
        return not self.joined_ms and not self.why


def event_key(data_dir: Path) -> str:
    """Return the public key for `m.room.policy`, in unpadded base64; "" if the policy server has never run."""
    try:
        return (data_dir / FOLDER / EVENT_KEY_FILE).read_text("ascii").strip()
    except OSError:
        return ""


def rules_digest(data_dir: Path) -> str:
    """Return the digest of the policy by which the policy server judges; "" if it has never run."""
    try:
        return (data_dir / FOLDER / RULES_FILE).read_text("ascii").strip()
    except OSError:
        return ""


class PolicySpool:
    """The policy server's database, open for reading. Every method does I/O: call it in a thread."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._open: tuple[int, sqlite3.Connection] | None = None  # and the inode of its file

    def refusals_after(self, seq: int, most: int = 200) -> tuple[RefusalNote, ...]:
        """Return refusals with a number above `seq`, the oldest first. Raises `sqlite3.Error`."""
        connection = self._connection()
        if connection is None:
            return ()
        sql = "SELECT seq, at_ms, event_id, note FROM refusals WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = connection.execute(sql, (seq, most)).fetchall()
        return tuple(RefusalNote(seq, at_ms, EventId(event_id), note) for seq, at_ms, event_id, note in rows)

    def rooms(self) -> tuple[TriedRoom, ...]:
        """Return all rooms that were joined or tried. Raises `sqlite3.Error`."""
        connection = self._connection()
        if connection is None:
            return ()
        rows = connection.execute("SELECT room, version, joined_ms, tried_ms, why FROM rooms ORDER BY room").fetchall()
        return tuple(TriedRoom(RoomId(room), *rest) for room, *rest in rows)

    def close(self) -> None:
        """Close the database."""
        if self._open is not None:
            (_, connection), self._open = self._open, None
            connection.close()

    def _connection(self) -> sqlite3.Connection | None:
        """Return the connection; open the file again if another one is in its place."""
        try:
            inode = path_of(self._data_dir).stat().st_ino
        except OSError:
            self.close()
            return None
        if self._open is not None and self._open[0] != inode:
            self.close()
        if self._open is None and (opened := open_to_read(self._data_dir)) is not None:
            self._open = inode, opened
        return self._open[1] if self._open is not None else None
