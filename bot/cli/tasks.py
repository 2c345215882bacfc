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
    from sqlalchemy.ext.asyncio import AsyncConnection

app = new_app("cli.tasks.help")


@app.command(help=text("cli.tasks.help"), epilog=text("cli.tasks.epilog"))
def tasks(json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """List the tasks."""
    columns = ("task", "kind", "at", "case", "room", "person", "next")
    config = read_config(config_file)
    show, look = {"kind": worded("task")}, Look(wide, config.server)
    list_rows(read(config, _open), columns, show, json=json, none="cli.tasks.none", look=look)


async def _open(db: "AsyncConnection") -> list[dict[str, Any]]:
    from storage.queries import waiting_tasks

    return [
        {**each.as_json(), "next": text(f"cli.tasks.next.{each.next}", **each.next_fields)}
        for each in await waiting_tasks(db)
    ]
