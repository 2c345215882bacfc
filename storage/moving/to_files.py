"""The move from PostgreSQL to SQLite's files.

Rules kept here:
- All files are made beside their places, complete and durable, and the session is kept. Then the database is marked
  as left: from that moment on the files are the ones in use. Then they take their places.
- A move that is killed before the mark leaves the database the one in use. One that is killed after it is finished by
  the next one, and no bot starts before.

Left to others: rows (`whole.py`), who may start where (`storage/database/moved.py`).
"""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moderation.values.notices import Moment
from storage.database import postgresql
from storage.database.fence import Epoch
from storage.database.moved import COMPLETE, STAGE, Move, last_move, note_move
from storage.database.place import DatabasePlace
from storage.database.refusals import refused
from storage.database.server import NAME
from storage.journal import disk
from storage.journal.postgresql_lines import PostgresLines

from .copying import Progress, unheard
from .file_mark import forget_files_left
from .session import connected
from .stores import CopiedStore, DeviceStores, stores_of
from .whole import Copied, server_to_files

if TYPE_CHECKING:
    import psycopg

_SIDES = ("-wal", "-shm")
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


def move_to_files(
    place: DatabasePlace,
    epoch: Epoch,
    records: int,
    devices: DeviceStores,
    now_ms: int,
    report: Progress,
    keep: Callable[[], None],
) -> Copied:
    """Move the database of `place`, which the caller leads in this epoch, to files in its data directory.

    `records`: how many there are in the day files here; the database must not have more. `keep` takes what has no
    place in the files out of the database, before that is marked as left. Returns what was copied;
    nothing if only the end of an interrupted move was left to do. Raises `Refused` or `Broken`; then the database is
    still the one in use.
    """
    stage, copied = place.data_dir / STAGE, Copied()
    with connected(place, epoch.application_name) as connection:
        last = last_move(connection, place)
        if last is None or last.way != "out":
            postgresql.refuse_other_schema(place)
            _refuse_behind(connection, place, records)
            disk.remove_folder(stage)
            disk.make_folder(stage, disk.SECRET_FOLDER_MODE)
            copied = copy_to_files(place, stage, stores_of(place, devices), report, state=True)
            keep()
            _leave(connection, place, epoch, now_ms)
        elif _id_of(stage) != last.id:
            raise refused("moved_to_files", place, at=Moment(last.at_ms))
        _put_in_place(place.data_dir, stage)
    return copied


def copy_to_files(
    place: DatabasePlace,
    folder: Path,
    stores: Sequence[CopiedStore] = (),
    report: Progress = unheard,
    *,
    state: bool = False,
) -> Copied:
    """Copy the state tables and small stores of a database, as they are at this moment, to new files in `folder`."""
    with connected(place, NAME) as connection, connection.transaction():
        connection.execute(_SNAPSHOT)
        return server_to_files(connection, place, folder, stores, report, state=state)


def _refuse_behind(connection: "psycopg.Connection[Any]", place: DatabasePlace, records: int) -> None:
    """Raise `DatabaseRefused` if the day files here lack records that the database has."""
    end = PostgresLines(connection, place.shard).end()
    if end > records:
        raise refused("files_behind", place, records=records, end=end)


def _leave(connection: "psycopg.Connection[Any]", place: DatabasePlace, epoch: Epoch, now_ms: int) -> None:
    """Mark the database as left for the files that are complete now."""
    number = secrets.token_hex(8)
    disk.create_once(place.data_dir / STAGE / COMPLETE, number.encode(), disk.SECRET_MODE)
    disk.sync_directory(place.data_dir / STAGE)
    with connection.transaction():
        connection.execute(epoch.check_sql)
        note_move(connection, place, Move("out", number, now_ms))


def _put_in_place(data_dir: Path, stage: Path) -> None:
    """Give files their names; those that a killed move has given already are no longer in the stage."""
    for path in sorted(each for each in stage.rglob("*") if each.is_file() and each.name != COMPLETE):
        target = data_dir / path.relative_to(stage)
        disk.make_folder(target.parent)
        for side in _SIDES:  # of what was there before the deployment moved to PostgreSQL
            target.with_name(target.name + side).unlink(missing_ok=True)
        path.replace(target)
        disk.give_to_owner_of(data_dir, target)
        disk.sync_directory(target.parent)
    forget_files_left(data_dir)
    disk.remove(stage / COMPLETE)
    disk.remove_folder(stage)


def _id_of(stage: Path) -> str:
    try:
        return (stage / COMPLETE).read_text("ascii")
    except FileNotFoundError:
        return ""
