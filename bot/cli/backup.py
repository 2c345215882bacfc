"""`answerable backup FILE|DIR`: one file with all that a deployment needs to run elsewhere, also while the bot runs.

``--json``: `file`, `bytes`, `made` (milliseconds), `records`, `root` (base64), `waiting` (requests not sent yet),
`files`, `sha256` (of the whole file), `problems` (of the log, as `logs verify` counts them).

Rules kept here:
- Nothing is overwritten.
- The log in the backup is checked, and the file is read again before it gets its name.
- What is in it, and what must be kept separately, is said each time.
- Exit code 1 if the log has problems. The backup is still made, since it may be the best there is.

Left to others: copying (`bot/admin/backup.py`), the file (`storage/backup/`).
"""

import datetime as dt
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Invalid, Refused

from .access.admin_client import perform
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import FAILED, as_json, say, tell, text
from .terminal.progress import Bar, progress

if TYPE_CHECKING:
    from bot.config.config import Config
    from storage.backup.contents import Manifest

_MIB = 1 << 20

app = new_app("cli.backup.help")


@app.command(help=text("cli.backup.help"), epilog=text("cli.backup.epilog"))
def backup(
    to: Annotated[Path, typer.Argument(metavar="FILE|DIR", help=text("cli.backup.to"))],
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Make a backup."""
    from storage.backup import snapshot

    config = read_config(config_file)
    file = _file(to.expanduser().absolute(), config)
    with _claimed(config.data_dir), progress() as bar:
        taken = perform(config, "backup")
        stage = config.data_dir / snapshot.FOLDER / snapshot.STAGE
        problems = _check(stage, bar)
        manifest = _write(config, stage, file, taken, bar)
        made = _as_json(file, manifest, problems) if json else {}
    if json:
        as_json(made)
    else:
        _tell(config, file, manifest, problems)
    if problems:
        raise typer.Exit(FAILED)


def _file(to: Path, config: "Config") -> Path:
    """Return the path of the backup. Raises `Refused` before anything is copied."""
    if not (config.data_dir / "records").is_dir():
        raise Invalid(text("cli.logs.no_records", data_dir=config.data_dir))
    if to.is_dir():
        name = config.user.partition(":")[0].removeprefix("@").replace("/", "-")
        to = to / f"{name}-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}.zip"
    if to.exists():
        raise Refused("cli.backup.exists", file=to)
    if not to.parent.is_dir() or not os.access(to.parent, os.W_OK | os.X_OK):
        raise Refused("cli.backup.no_folder", folder=to.parent)
    if to.parent.resolve().is_relative_to(config.data_dir.resolve()):
        raise Refused("cli.backup.inside", data_dir=config.data_dir)
    return to


@contextmanager
def _claimed(data_dir: Path) -> Iterator[None]:
    """Allow one backup at a time, and leave nothing of the copy behind."""
    from storage.backup import snapshot
    from storage.journal import disk

    folder = data_dir / snapshot.FOLDER
    disk.make_folder(folder, disk.SECRET_FOLDER_MODE)
    disk.give_to_owner_of(data_dir, folder)
    try:
        claim = disk.FolderClaim(folder)
    except BlockingIOError:
        raise Refused("cli.backup.another") from None
    try:
        yield
    finally:
        disk.remove_folder(folder)
        claim.release()


def _check(stage: Path, bar: Bar) -> int:
    """Return how many problems the copied log has."""
    from storage.journal.verify.verify import verify

    what = text("cli.logs.checking")
    report = verify(stage / "records", progress=partial(bar, what))
    return len(report.problems) + report.more


def _write(config: "Config", stage: Path, file: Path, taken: dict[str, Any], bar: Bar) -> "Manifest":
    from importlib.metadata import version

    from storage.backup.bundle import write
    from storage.backup.contents import CONFIG, Manifest

    (stage / CONFIG).write_bytes(config.file.read_bytes())
    manifest = Manifest(version=version("answerable"), user=config.user, **taken)
    what = text("cli.backup.writing")
    try:
        return write(stage, file, manifest, lambda done, of: bar(what, done // _MIB, of // _MIB))
    except FileExistsError:
        raise Refused("cli.backup.exists", file=file) from None
    except OSError as error:
        raise Refused("cli.backup.not_written", file=file, why=error.strerror or str(error)) from None


def _as_json(file: Path, manifest: "Manifest", problems: int) -> dict[str, Any]:
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "made": manifest.made_ms,
        "records": manifest.records,
        "root": manifest.root,
        "waiting": manifest.waiting,
        "files": len(manifest.files),
        "sha256": _sha256(file),
        "problems": problems,
    }


def _tell(config: "Config", file: Path, manifest: "Manifest", problems: int) -> None:
    from bot.config.identity_key import given_key

    say("cli.backup.done", file=file, records=manifest.records, megabytes=-(-file.stat().st_size // 1_000_000))
    say("cli.backup.holds")
    say("cli.backup.apart")
    if given_key(config).source != "none":
        say("cli.backup.apart_identity")
    if problems:
        tell("cli.backup.problems", count=problems)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
