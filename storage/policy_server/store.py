"""The database that the policy server writes: answers before they are given, refusals with the notes for their records.

Rules kept here:
- An event id has one answer. If two are written, the first one stands, and both who asked are given it.
- A refusal and its note are one transaction: there is no refusal of which the bot does not hear.
- What waits is written together, with one flush (`GroupCommit`).
- A signature is kept for a week: what was signed is delivered by then, and the bot has it. A refusal, which holds no
  words of anybody, is kept for a year, since rules change and the event may still be sent. Of each, `MOST_ANSWERS` are
  kept at most.
- A note is kept until the bot has recorded it, however long that takes, and no longer,
  because it holds what somebody wrote. No page of the database and no log beside it holds a removed note for longer
  than it takes to empty that log.

Left to others: the tables (`tables.py`), what is answered (`bot/policy_server/`).
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from moderation.values.durations import DAY_MS
from moderation.values.ids import EventId, RoomId

from .group_commit import GroupCommit
from .spool import TriedRoom
from .tables import empty_write_ahead_log, open_to_read, open_to_write

KEPT_MS = 7 * DAY_MS
REFUSALS_KEPT_MS = 365 * DAY_MS
MOST_ANSWERS = 2_000_000  # of each kind, some hundred MB; the oldest go first, so that nobody can fill the disk
MOST_SERVERS = 10_000  # whose keys are kept
_TRIAL_BYTES = 65_536
_PURGED_AT_ONCE = 2_000  # rows, so that nobody waits for long


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer to one event. `errcode` and `text` are of refusals."""

    event_id: EventId
    reference_hash: str
    room: RoomId
    accepted: bool
    at_ms: int
    errcode: str = ""
    text: str = ""


class PolicyStore:
    """The database of the policy server, open for writing. Make it with `PolicyStore.open`; it blocks only there."""

    def __init__(self, data_dir: Path, writing: sqlite3.Connection, reading: sqlite3.Connection) -> None:
        self._data_dir = data_dir
        self._words_left = True  # in the write-ahead log, perhaps from before the start
        self._writer = GroupCommit(writing, "policy-writes")
        self._reader = GroupCommit(reading, "policy-reads", commits=False)

    @classmethod
    def open(cls, data_dir: Path, now_ms: int) -> "PolicyStore":
        """Open the database of a data directory. Raises `Invalid` if it cannot be used."""
        writing = open_to_write(data_dir, now_ms)
        reading = open_to_read(data_dir)
        assert reading is not None, "it was just made"
        return cls(data_dir, writing, reading)

    async def answer(self, event_id: EventId) -> KeptAnswer | None:
        """Return the answer that an event was given, or None. Raises `sqlite3.Error`."""
        return await self._reader.do(_answer, event_id)

    async def keep(self, answer: KeptAnswer, note: str | None = None) -> KeptAnswer:
        """Keep an answer, with the note of a refusal; return the one that stands, which may be an earlier one.

        Returns when it is on the disk. Raises `sqlite3.Error` if it could not be kept: then it must not be given.
        """
        return await self._writer.do(_keep, answer, note)

    async def try_to_write(self, at_ms: int) -> None:
        """Write something as large as an answer with its note, and remove it. Raises `sqlite3.Error`."""
        await self._writer.do(_trial, at_ms)
        await self._writer.do(_end_of_trial)

    async def rooms(self) -> tuple[TriedRoom, ...]:
        """Return all rooms. Raises `sqlite3.Error`."""
        return await self._reader.do(_rooms)

    async def room_tried(self, room: RoomId, at_ms: int, why: str) -> None:
        """Keep that a room could not be joined. Raises `sqlite3.Error`."""
        await self._writer.do(_room, TriedRoom(room, "", 0, at_ms, why[:200]))

    async def room_joined(self, room: RoomId, version: str, at_ms: int) -> None:
        """Keep that a room was joined, and its version. Raises `sqlite3.Error`."""
        await self._writer.do(_room, TriedRoom(room, version, at_ms, at_ms, ""))

    async def room_left(self, room: RoomId, at_ms: int) -> None:
        """Keep that a room was left; its version stays known. Raises `sqlite3.Error`."""
        await self._writer.do(_room, TriedRoom(room, "", 0, at_ms, ""))

    async def keys_of(self, server: str) -> str | None:
        """Return what is known of a server's keys, as it was written. Raises `sqlite3.Error`."""
        return await self._reader.do(_keys_of, server)

    async def keep_keys(self, server: str, known: str, at_ms: int) -> None:
        """Keep what is known of a server's keys. Raises `sqlite3.Error`."""
        await self._writer.do(_keep_keys, server, known, at_ms)

    async def purge(self, now_ms: int, recorded: int, most: int = MOST_ANSWERS) -> int:
        """Remove old answers, and notes up to the number `recorded`. Returns how many rows. Raises `sqlite3.Error`."""
        answers, notes = await self._writer.do(_purge, now_ms, recorded, most)
        self._words_left = self._words_left or notes > 0
        return answers + notes

    async def forget(self) -> bool:
        """Empty the write-ahead log if notes were removed since; return whether none of them can be read any more.

        False: somebody reads; try again. Raises `sqlite3.Error`.
        """
        if self._words_left:
            self._words_left = not await asyncio.to_thread(empty_write_ahead_log, self._data_dir)
        return not self._words_left

    async def continue_after(self, seq: int) -> None:
        """Give new refusals numbers above `seq`, if lower ones would come. Raises `sqlite3.Error`."""
        await self._writer.do(_continue_after, seq)

    def close(self) -> None:
        """Write what waits, and close."""
        self._writer.close()
        self._reader.close()


def _answer(connection: sqlite3.Connection, event_id: str) -> KeptAnswer | None:
    sql = "SELECT reference_hash, room, accepted, at_ms, errcode, text FROM answers WHERE event_id = ?"
    row = connection.execute(sql, (event_id,)).fetchone()
    if row is None:
        return None
    reference_hash, room, accepted, at_ms, errcode, text = row
    return KeptAnswer(EventId(event_id), reference_hash, RoomId(room), bool(accepted), at_ms, errcode, text)


def _keep(connection: sqlite3.Connection, answer: KeptAnswer, note: str | None) -> KeptAnswer:
    sql = (
        "INSERT INTO answers (event_id, reference_hash, room, accepted, errcode, text, at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    )
    values = (answer.event_id, answer.reference_hash, answer.room, answer.accepted, answer.errcode, answer.text)
    if connection.execute(sql, (*values, answer.at_ms)).rowcount == 0:
        stands = _answer(connection, answer.event_id)
        assert stands is not None
        return stands
    if note is not None:
        sql = "INSERT INTO refusals (at_ms, event_id, note) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        connection.execute(sql, (answer.at_ms, answer.event_id, note))
    return answer


def _trial(connection: sqlite3.Connection, at_ms: int) -> None:
    sql = "INSERT OR REPLACE INTO answers (event_id, reference_hash, room, accepted, at_ms) VALUES ('', ?, '', 0, ?)"
    connection.execute(sql, ("-" * _TRIAL_BYTES, at_ms))


def _end_of_trial(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM answers WHERE event_id = ''")


def _rooms(connection: sqlite3.Connection) -> tuple[TriedRoom, ...]:
    rows = connection.execute("SELECT room, version, joined_ms, tried_ms, why FROM rooms").fetchall()
    return tuple(TriedRoom(RoomId(room), *rest) for room, *rest in rows)


def _room(connection: sqlite3.Connection, room: TriedRoom) -> None:
    """Write a room; a failure to join it again leaves the version that is known."""
    connection.execute(
        "INSERT INTO rooms (room, version, joined_ms, tried_ms, why) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (room) DO UPDATE SET"
        " version = CASE excluded.version WHEN '' THEN version ELSE excluded.version END,"
        " joined_ms = excluded.joined_ms, tried_ms = excluded.tried_ms, why = excluded.why",
        (room.room, room.version, room.joined_ms, room.tried_ms, room.why),
    )


def _keys_of(connection: sqlite3.Connection, server: str) -> str | None:
    row = connection.execute("SELECT known FROM keys WHERE server = ?", (server,)).fetchone()
    return str(row[0]) if row else None


def _keep_keys(connection: sqlite3.Connection, server: str, known: str, at_ms: int) -> None:
    connection.execute("INSERT OR REPLACE INTO keys (server, known, at_ms) VALUES (?, ?, ?)", (server, known, at_ms))
    sql = "DELETE FROM keys WHERE server IN (SELECT server FROM keys ORDER BY at_ms DESC LIMIT -1 OFFSET ?)"
    connection.execute(sql, (MOST_SERVERS,))


def _purge(connection: sqlite3.Connection, now_ms: int, recorded: int, most: int) -> tuple[int, int]:
    """Return how many answers and how many notes were removed."""
    signatures = _purge_answers(connection, True, now_ms - KEPT_MS, most)
    refusals = _purge_answers(connection, False, now_ms - REFUSALS_KEPT_MS, most)
    told = "SELECT seq FROM refusals WHERE seq <= ? ORDER BY seq LIMIT ?"
    sql = f"DELETE FROM refusals WHERE seq IN ({told})"  # noqa: S608 - likewise
    return signatures + refusals, connection.execute(sql, (recorded, _PURGED_AT_ONCE)).rowcount


def _purge_answers(connection: sqlite3.Connection, accepted: bool, before_ms: int, most: int) -> int:
    too_many = "SELECT at_ms FROM answers WHERE accepted = ? ORDER BY at_ms DESC LIMIT 1 OFFSET ?"
    if (newest := connection.execute(too_many, (accepted, most)).fetchone()) is not None:
        before_ms = max(before_ms, newest[0] + 1)
    old = "SELECT event_id FROM answers WHERE accepted = ? AND at_ms < ? ORDER BY at_ms LIMIT ?"
    sql = f"DELETE FROM answers WHERE event_id IN ({old})"  # noqa: S608 - no value from outside
    return connection.execute(sql, (accepted, before_ms, _PURGED_AT_ONCE)).rowcount


def _continue_after(connection: sqlite3.Connection, seq: int) -> None:
    connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'refusals'", (seq,))
