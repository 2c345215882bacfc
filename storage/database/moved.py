"""The mark on a database that a deployment was moved away from, so that nobody continues with it by mistake.

After a move both databases hold the same. The one that was moved from is left as it was, with a mark: a file next to
SQLite's (``moved.json``), a row in PostgreSQL (`answerable_shared.moves`). One that was moved to has a row as well: as
long as no bot has begun there since, it is a copy that nobody has used, and may be replaced by another.

Rules kept here:
- A marked database is not opened; the refusal says what to change.
- A file that was never moved is not left behind by a mere change of the settings.

Left to others: the move itself, and marking files (`storage/moving/`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from moderation.values.notices import Moment

from . import postgresql
from .fence import Epoch
from .owners import refuse_foreign
from .place import DatabasePlace
from .refusals import refused

if TYPE_CHECKING:
    import psycopg

FILE = "moved.json"
STAGE = ".move"  # in the data directory: files that are being made
COMPLETE = "complete"  # in it, once all of them are there
_SCHEMA = "CREATE SCHEMA IF NOT EXISTS answerable_shared"
_TABLE = """
CREATE TABLE IF NOT EXISTS answerable_shared.moves (
    shard text COLLATE "C" PRIMARY KEY,
    way text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    at bigint NOT NULL
)
"""
_PUT = """
INSERT INTO answerable_shared.moves (shard, way, id, at) VALUES (%s, %s, %s, %s)
ON CONFLICT (shard) DO UPDATE SET way = excluded.way, id = excluded.id, at = excluded.at
"""
_GET = "SELECT way, id, at FROM answerable_shared.moves WHERE shard = %s"
_USE = "UPDATE answerable_shared.moves SET way = 'used' WHERE shard = %s AND way = 'in'"
Way = Literal["in", "used", "out"]


@dataclass(frozen=True, slots=True)
class Move:
    """The last move of a database on PostgreSQL: into it, used since then or not, or out of it."""

    way: Way
    id: str
    at_ms: int


def refuse_moved(place: DatabasePlace, *, begin: bool = False, epoch: Epoch | None = None) -> None:
    """Raise `DatabaseRefused` if the deployment left this database, or if its files were not moved to it yet.

    `begin`: a bot, the leader of `epoch`, is going to write, so no other copy may replace this one from now on. Raises
    `Superseded` if another process leads by now.
    """
    if place.url is None:
        _refuse_files(place)
        return
    with postgresql.connected(place) as connection:
        last = last_move(connection, place)
        if last is not None and last.way == "out":
            raise refused("moved_to_files", place, at=Moment(last.at_ms))
        if place.file.exists() and not (place.data_dir / FILE).exists():
            raise refused("not_moved", place, file=place.file)
    if begin and last is not None and last.way == "in":
        with postgresql.changing(place, epoch) as connection:
            connection.execute(_USE, [place.shard])


def last_move(connection: "psycopg.Connection[Any]", place: DatabasePlace) -> Move | None:
    """Return the last move into or out of a database on PostgreSQL."""
    there = connection.execute("SELECT to_regclass('answerable_shared.moves')::text").fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute(_GET, [place.shard]).fetchone()
    return Move(*row) if row else None


def note_move(connection: "psycopg.Connection[Any]", place: DatabasePlace, move: Move) -> None:
    """Mark a database on PostgreSQL as moved into, or out of; part of the caller's transaction."""
    connection.execute(_SCHEMA)
    refuse_foreign(connection, place)
    connection.execute(_TABLE)
    connection.execute(_PUT, [place.shard, move.way, move.id, move.at_ms])


def _refuse_files(place: DatabasePlace) -> None:
    if (place.data_dir / STAGE / COMPLETE).exists():
        raise refused("half_moved", place)
    left = place.data_dir / FILE
    if left.exists():
        said = orjson.loads(left.read_bytes())
        raise refused("moved_to_server", place, to=said["to"], at=Moment(said["at"]))
