"""`answerable upgrade-check`: says what this version will do to the data of another one, before it does.

It is run from the new version, installed next to the old one, with the configuration of the bot.

``--json``: `version` (of this program), `ran` (the version that ran last; null: none did), `schema` (of the database;
null: there is none), `newest` (of this program), `migrations` (those that will run: `schema`, `what`), `bytes_needed`,
`bytes_free`, `backup` (when the newest was made, in milliseconds; null: none in the last 60 days), `renamed` (tables of
the configuration: old name to new), `ready`, `findings` (as `answerable check` prints them).

Rules kept here:
- It only reads, also while the old version runs.
- Exit code 1 if there is a problem; warnings do not count. What migrates the database without a backup of the last day
  is a problem, since an older version cannot use the database afterwards.

Left to others: the migrations (`storage/database/sqlite.py`), everything else that could go wrong (`command.py`).
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import typer

from bot.cli.access.lookup import now_ms
from bot.cli.run import running_pid
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from bot.cli.terminal.output import FAILED, as_json, text
from bot.cli.terminal.progress import progress
from moderation.values.durations import DAY_MS
from moderation.values.notices import Moment

from .command import new_names, show_findings
from .findings import Finding, note, ok, problem, warning
from .this_machine import FULL

if TYPE_CHECKING:
    from pathlib import Path

    from bot.config.config import Config

_MIB = 1 << 20
_LOOK_BACK = 60  # days of records in which a backup and the last start are looked for
_COPIES = 3  # of the database: SQLite writes new tables, and then the whole file

app = new_app("cli.upgrade_check.help")


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """The data that an upgrade to this version finds, and its steps. `schema` is None without a database."""

    ran: str | None
    schema: str | None
    newest: str
    migrations: tuple[tuple[str, str], ...]
    needed: int
    free: int
    backup: int | None


@app.command(help=text("cli.upgrade_check.help"), epilog=text("cli.upgrade_check.epilog"))
def upgrade_check(json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Look, and say."""
    from bot.config.renamed import RENAMED

    config = read_config(config_file)
    with progress():
        plan = plan_of(config)
        findings = list(_findings(config, plan))
    ready = not any(each.state == "problem" for each in findings)
    if json:
        as_json(
            {
                "version": version("answerable"),
                "ran": plan.ran,
                "schema": plan.schema,
                "newest": plan.newest,
                "migrations": [{"schema": schema, "what": what} for schema, what in plan.migrations],
                "bytes_needed": plan.needed,
                "bytes_free": plan.free,
                "backup": plan.backup,
                "renamed": {old: RENAMED[old] for old in config.old_names},
                "ready": ready,
                "findings": [each.as_dict() for each in findings],
            }
        )
    else:
        show_findings(findings)
    if not ready:
        raise typer.Exit(FAILED)


def plan_of(config: "Config") -> UpgradePlan:
    """Return what this version finds. Raises `Invalid` or `DatabaseRefused` if the database cannot be used."""
    from storage.database.database import schema_of
    from storage.database.place import FILE
    from storage.database.schemas import migrations_after, schemas

    schema = schema_of(config.place)
    migrations = migrations_after(schema) if schema else ()
    copied = config.data_dir.glob(f"{FILE}*") if migrations and not config.place.url else ()
    size = sum(each.stat().st_size for each in copied)
    ran, backup = _last_seen(config.data_dir / "records")
    where = next(each for each in (config.data_dir, *config.data_dir.parents) if each.exists())
    free = shutil.disk_usage(where).free
    return UpgradePlan(ran, schema, schemas()[-1], migrations, FULL + _COPIES * size, free, backup)


def _last_seen(records: "Path") -> tuple[str | None, int | None]:
    """Return which version started last, and when the newest backup was made, as far as the last days tell."""
    from storage.journal.days import DayLines
    from storage.journal.line_format import decode
    from storage.journal.reader import Log

    ran, backup = None, None
    for day in reversed(Log(records).days()[-_LOOK_BACK:]):
        for _, line in DayLines(day.path).holding((b'"k":"start"', b'"what":"backup"')):
            record = decode(line)
            if record.kind == "start":
                ran = str(record.fields["version"])
            elif record.kind == "export":
                backup = record.at_ms
        if ran is not None and backup is not None:
            break
    return ran, backup


def _findings(config: "Config", plan: UpgradePlan) -> Iterator[Finding]:
    this = version("answerable")
    yield ok("config", "upgrade_version", new=this, old=plan.ran or "-")
    yield from new_names(config.old_names)
    yield from _of_database(plan)
    fields = {"needed": -(-plan.needed // _MIB), "mib": plan.free // _MIB}
    enough = plan.free >= plan.needed
    yield ok("disk", "upgrade_space", **fields) if enough else problem("disk", "upgrade_space", **fields)
    yield _of_backup(plan)
    if (pid := running_pid(config.data_dir)) is not None:
        yield note("running", "upgrade_running", pid=pid)


def _of_database(plan: UpgradePlan) -> Iterator[Finding]:
    from storage.database.schemas import schemas

    if plan.schema is None:
        yield ok("database", "upgrade_no_data")
    elif plan.schema > plan.newest:
        yield problem("database", "upgrade_newer", schema=plan.schema, newest=plan.newest)
    elif plan.schema < schemas()[0]:
        yield problem("database", "upgrade_too_old", schema=plan.schema)
    elif not plan.migrations:
        yield ok("database", "upgrade_same", schema=plan.schema)
    else:
        fields = {"schema": plan.schema, "newest": plan.newest, "count": len(plan.migrations)}
        yield note("database", "upgrade_migrations", **fields)


def _of_backup(plan: UpgradePlan) -> Finding:
    if plan.backup is not None and now_ms() - plan.backup <= DAY_MS:
        return ok("records", "upgrade_backup", when=Moment(plan.backup))
    bad = problem if plan.migrations else note if plan.schema is None else warning
    if plan.backup is None:
        return bad("records", "upgrade_backup_none")
    return bad("records", "upgrade_backup_old", when=Moment(plan.backup))
