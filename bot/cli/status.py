"""`answerable status`: how the deployment is, on one page.

``--json``: `running` (process; null: none), `leads` (the machine that leads; null: without PostgreSQL, or if none
does), `standbys` (those that follow: `who`; `behind`, the number of records they do not have yet; `silent_s`, seconds
since they said so; `unfinished`, why something could not be erased there, or ""), `shards` (the others: `name`;
`unpublished`, the number of records that are not noted as published; `silent_s`, seconds since the last such note;
`waits_s`, seconds since the first of these records was made, 0: there is none), `heard` (when the homeserver last
answered; 0: never), `rooms` (groups by condition), `open_cases`, `overdue_cases`, `tasks`, `waiting` (requests not sent
yet), `gaps` (parts of rooms not read yet), `rate_limit` (of the homeserver: free, lifted or limited; null: not known),
`records`, `first_day`, `log_bytes`, `content`, `retention` (milliseconds), `disk_free` (bytes).

Rules kept here:
- It only reads, and says the same of a running bot as of a stopped one.
- With ``--alive`` the exit code is 1 unless the bot runs and has heard its homeserver within the last five minutes, so
  that a container's health can be asked for without a port.

Left to others: what could go wrong and how to mend it (`check/`), watching (`bot/monitoring/page.py`).
"""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.notices import Moment, Span

from .access.lookup import now_ms, read
from .run import running_pid
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import FAILED, Cells, as_json, text, word
from .terminal.tables import sheet_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config

app = new_app("cli.status.help")

_NAMES = (
    *(
        "running",
        "leads",
        "standbys",
        "shards",
        "heard",
        "rooms",
        "open_cases",
        "overdue_cases",
        "tasks",
        "waiting",
        "gaps",
        "rate_limit",
    ),
    *("records", "first_day", "log_bytes", "content", "retention", "disk_free"),
)
_SHOW: Cells = {
    "running": lambda pid: text("cli.status.running", pid=pid) if pid else text("cli.status.stopped"),
    "leads": lambda who: who or text("cli.status.nobody"),
    "standbys": lambda found: "; ".join(map(_follows, found)) or text("cli.status.nobody"),
    "shards": lambda found: "; ".join(map(_publishes, found)) or text("cli.status.nobody"),
    "heard": lambda ms: Moment(ms) if ms else text("cli.status.never"),
    "rooms": lambda rooms: (
        "; ".join(f"{word('condition', name)}: {count}" for name, count in rooms.items()) or text("cli.status.no_rooms")
    ),
    "rate_limit": lambda limit: word("rate-limit", limit or "unknown"),
    "log_bytes": lambda size: text("cli.status.megabytes", megabytes=round(size / 1e6, 1)),
    "disk_free": lambda size: text("cli.status.megabytes", megabytes=round(size / 1e6)),
    "retention": Span,
    "content": lambda content: word("content", content),
}


@app.command(help=text("cli.status.help"), epilog=text("cli.status.epilog"))
def status(
    alive: Annotated[bool, typer.Option("--alive", help=text("cli.status.alive"))] = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show it."""
    from bot.matrix.known_limit import known_limit

    config = read_config(config_file)
    limit = known_limit(config.data_dir)
    found = {
        "running": running_pid(config.data_dir),
        **_leading(config),
        "shards": _others(config),
        **read(config, _database),
        "rate_limit": limit.limit if limit else None,
        **_log(config.data_dir / "records"),
        "content": config.records.content,
        "retention": config.records.retention,
        "disk_free": _free(config.data_dir),
    }
    if json:
        as_json({name: found[name] for name in _NAMES})
    else:
        alone = {"leads", "standbys"} if config.place.url is None else set[str]()
        without = alone if config.shard else {*alone, "shards"}
        sheet_of(found, [name for name in _NAMES if name not in without], _SHOW)
    if alive and not (found["running"] and _was_heard(found["heard"])):
        raise typer.Exit(FAILED)


def _free(folder: Path) -> int:
    """Return the free bytes of the disk on which a folder is, or will be: before its start a machine has none."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free


def _leading(config: "Config") -> dict[str, Any]:
    from bot.leading.lead import who_leads

    leader, standbys = who_leads(config.place)
    return {
        "leads": leader.who if leader and not leader.resigned else None,
        "standbys": [asdict(each) for each in standbys],
    }


def _follows(each: "Mapping[str, Any]") -> str:
    from storage.database.following import SILENT_S

    said = {"who": each["who"], "count": each["behind"]}
    if each["silent_s"] >= SILENT_S:
        return text("cli.status.follows_silent", silent=Span(int(each["silent_s"]) * 1000), **said)
    return text("cli.status.follows_unfinished" if each["unfinished"] else "cli.status.follows", **said)


def _others(config: "Config") -> list[dict[str, Any]]:
    """Return how far each other shard has published its log, without the shards that never noted it."""
    from bot.exchange.postgresql import told_in
    from bot.leading.lead import worded

    if not config.shard or config.place.url is None:
        return []
    base = config.origin.removesuffix(f"/{config.shard}")
    with worded(config.place):
        told = told_in(config.place)
    named = {each.name: told.get(f"{base}/{each.name}") for each in config.shards if each.name != config.shard}
    return [
        {
            "name": name,
            "unpublished": each.untold,
            "silent_s": each.age_s,
            "waits_s": max(0.0, (now_ms() - each.first_ms) / 1000) if each.first_ms else 0.0,
        }
        for name, each in named.items()
        if each is not None
    ]


def _publishes(each: "Mapping[str, Any]") -> str:
    from bot.exchange.silent_shards import PATIENCE_S

    said = {"name": each["name"], "count": each["unpublished"], "silent": Span(int(each["waits_s"]) * 1000)}
    return text("cli.status.withholds" if each["waits_s"] >= PATIENCE_S else "cli.status.publishes", **said)


def _was_heard(heard_ms: int) -> bool:
    from bot.pipeline.heartbeat import SILENT_MS

    return now_ms() - heard_ms < SILENT_MS


async def _database(db: "AsyncConnection") -> dict[str, Any]:
    from bot.pipeline.heartbeat import ALIVE
    from storage import queries

    numbers = await queries.vital_numbers(db, now_ms(), now_ms())
    return {
        "heard": int(await queries.get_meta(db, ALIVE) or 0),
        "rooms": await queries.groups_by_condition(db),
        "open_cases": numbers.cases_open,
        "overdue_cases": numbers.cases_overdue,
        "tasks": len(await queries.open_tasks(db)),
        "waiting": numbers.waiting,
        "gaps": numbers.gaps,
        "records": int(await queries.get_meta(db, "applied") or 0),
    }


def _log(folder: "Path") -> dict[str, Any]:
    from storage.journal.reader import Log

    days = Log(folder).days()
    return {"first_day": days[0].name if days else None, "log_bytes": sum(day.path.stat().st_size for day in days)}
