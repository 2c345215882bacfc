"""`answerable tasks`: what waits for the operator, and what to do about each.

``--json``: objects with the keys `task` (its number), `kind` (dossier, case, last-manager or room), `at`, `case` (null:
none), `room` (code; null: none), `person`, `next` (what to type).
"""

from typing import TYPE_CHECKING, Any

from .access.lookup import read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from .terminal.output import text, worded
from .terminal.tables import Look, list_rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from storage.queries import Dossier

app = new_app("cli.tasks.help")


@app.command(help=text("cli.tasks.help"), epilog=text("cli.tasks.epilog"))
def tasks(json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """List the tasks."""
    columns = ("task", "kind", "at", "case", "room", "person", "next")
    config = read_config(config_file)
    show, look = {"kind": worded("task")}, Look(wide, config.server)
    list_rows(read(config, _open), columns, show, json=json, none="cli.tasks.none", look=look)


async def _open(db: "AsyncConnection") -> list[dict[str, Any]]:
    from storage import queries

    codes = await queries.all_rooms(db)
    files = {each.task: each for each in await queries.all_dossiers(db) if each.state == "open"}
    return [
        {
            "task": row.record,
            "kind": row.task,
            "at": row.at,
            "case": row.n or None,
            "room": codes.get(row.room),
            "person": row.subject,
            "next": _next(row, codes.get(row.room, ""), files.get(row.record)),
        }
        for row in await queries.open_tasks(db)
    ]


def _next(row: "Row[Any]", room: str, file: "Dossier | None") -> str:
    from moderation.cases.dossiers import APPROVALS

    if row.task == "dossier" and file is not None:
        ready = len(file.approved_by) >= APPROVALS
        return text("cli.tasks.next.export" if ready else "cli.tasks.next.approve", n=str(file.record))
    fields = {"n": str(row.n), "who": row.subject, "room": room, "task": str(row.record)}
    return text(f"cli.tasks.next.{row.task}", **fields)
