"""`answerable rooms`: the rooms the bot serves, and how well it can.

``--json``: a list of objects with the keys `code`, `room`, `name`, `purpose`, `condition`, `language`,
`members` (joined), `open_cases`.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .lookup import as_dict, read
from .options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app
from .output import as_json, say, table, text, word

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from ..config import Config

KEYS = ("code", "room", "name", "purpose", "condition", "language", "members", "open_cases")

app = new_app("cli.rooms.help")


@app.command(help=text("cli.rooms.help"), epilog=text("cli.rooms.epilog"))
def rooms(
    config_file: ConfigFile = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", "-a", help=text("cli.rooms.all"))] = False,
    json: AsJson = False,
) -> None:
    """List the rooms."""
    found = read(config_file, _rooms)
    chosen = [row for row in found if every or (row["purpose"] == "group" and row["condition"] != "left")]
    if json:
        as_json(chosen)
    elif chosen:
        columns = ("code", "name", "condition", "members", "open_cases", "room")
        table(columns, ([_cell(row, column) for column in columns] for row in chosen))
    else:
        say("cli.rooms.none")


def _cell(row: dict[str, Any], column: str) -> object:
    return word("condition", row["condition"]) if column == "condition" else row[column]


async def _rooms(db: "AsyncConnection", _config: "Config") -> list[dict[str, Any]]:
    from sqlalchemy import func, select

    from storage import tables as t

    from .cases import UNDECIDED

    joined = (
        select(func.count())
        .where(t.members.c.room == t.rooms.c.room, t.members.c.membership == "join")
        .scalar_subquery()
    )
    pending = (
        select(func.count()).where(t.cases.c.room == t.rooms.c.room, t.cases.c.state.in_(UNDECIDED)).scalar_subquery()
    )
    columns = (t.rooms.c[key] for key in KEYS[:-2])
    query = select(*columns, joined.label("members"), pending.label("open_cases")).order_by(t.rooms.c.entered)
    return [as_dict(row) for row in await db.execute(query)]
