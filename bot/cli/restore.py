"""`answerable restore FILE`: bring a deployment back from a backup, and say what it lacks.

``--json``: `records` (in the backup), `made`, `record` (index of the record that says so), `cases` (the first new case
number), `waiting` (requests sent once more), `against` (null: not asked; else `size` and `lost`: signed records that
the backup does not have), `lacks` (a list: `session`, `identity`; what keeps this deployment from being complete).

Rules kept here:
- It replaces nothing: the data directory must be empty.
- Before anything takes its final place, every file is compared with its hash, the log is checked, and the first record
  of what follows says that it continues from a backup.
- The key that signs is moved last: an interrupted restore has none, so the bot does not begin another log in its place.

Left to others: what is in a backup (`storage/backup/contents.py`), the record (`bot/admin/backup.py`).
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Invalid, Refused
from moderation.values.notices import Moment

from .access.access_reason import user
from .access.lookup import identity_store
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import as_json, say, tell, text
from .terminal.progress import Bar, progress

if TYPE_CHECKING:
    from bot.config.config import Config
    from moderation.model.facts import RecordsRestored
    from storage.backup.contents import Manifest

FOLDER = ".restore"  # in the data directory, for files not in their place yet
_OURS = frozenset({FOLDER, ".backup", "lock"})
_LAST = "keys"
_MIB = 1 << 20

app = new_app("cli.restore.help")


@app.command(help=text("cli.restore.help"), epilog=text("cli.restore.epilog"))
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=text("cli.restore.file"))],
    against: Annotated[Path | None, typer.Option(metavar="FILE", help=text("cli.restore.against"))] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help=text("cli.restore.damaged_option"))] = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Restore a deployment."""
    from .run import make_data_dir, only_instance

    backup = file.expanduser().absolute()
    config = _config(config_file.expanduser().absolute(), backup)
    _must_be_empty(config.data_dir)
    _database_must_be_empty(config)
    make_data_dir(config.data_dir)
    with only_instance(config.data_dir), progress() as bar:
        stage = config.data_dir / FOLDER
        manifest = _unpack(backup, stage, bar)
        if manifest.user != config.user:
            raise Refused("cli.restore.other_user", backup=manifest.user, file=config.file, user=config.user)
        known = _check(stage / "records", against, bar, damaged=damaged)
        record, fact = asyncio.run(_go_on(config, stage, manifest, known))
        _move(stage, config)
        _to_server(config, bar)
    lacks = _lacks(config)
    if json:
        as_json(_as_json(manifest, record, fact, lacks))
    else:
        _tell(config, manifest, record, fact, lacks)


def _config(file: Path, backup: Path) -> "Config":
    """Return the existing configuration; else put the one of the backup in its place and return that."""
    from storage.backup.bundle import config_in

    from .session import write_private

    if not file.exists():
        with _opened(backup) as (packed, manifest):
            found = config_in(packed, manifest)
        if found is None:
            raise Refused("cli.restore.no_config", file=file)
        write_private(file, found.decode())
        tell("cli.restore.config", file=file)
    return read_config(file)


@contextmanager
def _opened(backup: Path) -> Iterator[Any]:
    from storage.backup.bundle import opened

    try:
        with opened(backup) as found:
            yield found
    except Invalid as error:
        raise Refused("cli.restore.not_a_backup", file=backup, why=error) from None
    except FileNotFoundError:
        raise Refused("cli.restore.no_file", file=backup) from None


def _must_be_empty(data_dir: Path) -> None:
    found = sorted(path.name for path in data_dir.iterdir()) if data_dir.is_dir() else []
    if theirs := [name for name in found if name not in _OURS]:
        raise Refused("cli.restore.not_empty", data_dir=data_dir, found=", ".join(theirs[:5]))


def _unpack(backup: Path, stage: Path, bar: Bar) -> "Manifest":
    from storage.backup.bundle import unpack
    from storage.backup.contents import CONFIG
    from storage.journal import disk

    disk.remove_folder(stage)  # of an interrupted restore
    disk.make_folder(stage, disk.SECRET_FOLDER_MODE)
    what = text("cli.restore.unpacking")
    with _opened(backup) as (packed, manifest):
        unpack(packed, manifest, stage, lambda done, of: bar(what, done // _MIB, of // _MIB))
        (stage / CONFIG).unlink(missing_ok=True)  # it belongs elsewhere, where there is one already
        found: Manifest = manifest
    return found


def _check(records: Path, against: Path | None, bar: Bar, *, damaged: bool) -> int:
    """Check the log. Return the size of the newest checkpoint known from elsewhere; -1 if there is none."""
    from storage.journal.verify.verify import verify

    from .logs.command import read_kept

    kept = read_kept(against) if against else None
    report = verify(records, against=kept, progress=partial(bar, text("cli.logs.checking")))
    problems = [each for each in report.problems if (each.code, each.file) != ("missing", "against")]
    for problem in problems:
        if problem.code.startswith("joint_"):  # nothing is known of this log then
            raise Refused(problem.key, **problem.fields)
    if problems and not damaged:
        first = problems[0]
        raise Refused("cli.restore.damaged", count=len(problems) + report.more, code=first.code, where=first.file)
    return _size_of(records, kept) if kept else -1


def _size_of(records: Path, kept: str) -> int:
    """Return the number of records of this log that a kept checkpoint covers, which may be a joint one."""
    from storage.journal.transparency.checkpoint import open_checkpoint
    from storage.journal.transparency.joint_checkpoint import is_joint, open_joint
    from storage.journal.transparency.log_key import read_verifier

    verifier = read_verifier(records)
    if not is_joint(kept):
        return open_checkpoint(kept, [verifier]).size
    closing = open_joint(kept, [verifier]).closing_of(verifier.name)
    assert closing is not None, "it was refused"
    return closing.size


async def _go_on(config: "Config", stage: Path, manifest: "Manifest", known: int) -> "tuple[int, RecordsRestored]":
    """Record that the log continues from a backup. Return the index of that record, and the fact."""
    from bot.app import records_only
    from bot.config.database import DatabaseSettings

    from .access.admin_client import quietly

    bot, secrets = (
        config.bot.model_copy(update={"data_dir": stage}),
        config.secrets.model_copy(update={"database": None}),
    )
    there = config.model_copy(update={"bot": bot, "database": DatabaseSettings(), "secrets": secrets})
    with quietly():
        async with records_only(there) as operations:
            fact = await operations.backup.restored(manifest, known, user())
    return _index_of(stage), fact


def _index_of(stage: Path) -> int:
    from storage.journal.line_format import open_line
    from storage.journal.query import Query, last

    (raw, *_) = last(stage / "records", Query(kinds=frozenset({"restore"})), 1)
    index = open_line(raw).skeleton["i"]
    assert isinstance(index, int)
    return index


def _move(stage: Path, config: "Config") -> None:
    """Move everything to its place, the key that signs last."""
    from storage.journal import disk

    for path in (config.data_dir, *stage.rglob("*")):
        if os.geteuid() == 0:  # run by root: give it to the owner of the configuration
            disk.give_to_owner_of(config.file.parent, path)
    for path in sorted(stage.iterdir(), key=lambda path: path.name == _LAST):
        path.rename(config.data_dir / path.name)
        disk.sync_directory(config.data_dir)
    disk.remove_folder(stage)


def _database_must_be_empty(config: "Config") -> None:
    """Raise `Refused` if the database on PostgreSQL holds a deployment, even one that left it."""
    if config.place.url is None:
        return
    from bot.leading.lead import worded
    from storage.moving.to_server import refuse_anything

    with worded(config.place):
        refuse_anything(config.place)


def _to_server(config: "Config", bar: Bar) -> None:
    """Move the restored tables to PostgreSQL, if the settings name a database there, and remove their files."""
    if config.place.url is None:
        return
    from storage.database.moved import FILE as MOVED
    from storage.database.place import FILE as STATE
    from storage.journal import disk
    from storage.journal.record_keys import FILE as IDENTITY

    from .database import moved_to_server

    moved_to_server(config, bar)
    for name in (f"{STATE}-wal", f"{STATE}-shm", STATE, IDENTITY, MOVED):
        disk.remove(config.data_dir / name)


def _lacks(config: "Config") -> list[str]:
    """Return what keeps the deployment from being complete: found by looking, not by guessing."""
    _, state = identity_store(config)
    lacks = [] if config.secrets.access_token else ["session"]
    return lacks + (["identity"] if state and state.used and state.lock != "open" else [])


def _as_json(manifest: "Manifest", record: int, fact: "RecordsRestored", lacks: list[str]) -> dict[str, Any]:
    lost = max(0, fact.signed - fact.size)
    return {
        "records": fact.size,
        "made": fact.made,
        "record": record,
        "cases": fact.cases,
        "waiting": manifest.waiting,
        "against": None if fact.signed < 0 else {"size": fact.signed, "lost": lost},
        "lacks": lacks,
    }


def _tell(config: "Config", manifest: "Manifest", record: int, fact: "RecordsRestored", lacks: list[str]) -> None:
    say("cli.restore.done", records=fact.size, made=Moment(fact.made), record=str(record))
    if fact.signed > fact.size:
        say("cli.restore.lost", signed=str(fact.signed), lost=fact.signed - fact.size)
    elif fact.signed >= 0:
        say("cli.restore.nothing_lost", signed=str(fact.signed))
    else:
        say("cli.restore.perhaps_lost")
    say("cli.restore.cases", cases=str(fact.cases))
    if manifest.waiting:
        say("cli.restore.waiting", count=manifest.waiting)
    say("cli.restore.erased", made=Moment(fact.made))
    for each in lacks:
        say(f"cli.restore.lacks.{each}", env=config.env_file)
    say("cli.restore.next")
