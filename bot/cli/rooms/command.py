"""`answerable rooms`: the rooms the bot serves, how well it can, and the measures in force against them.

``--json``: a list of objects with the keys `code`, `room`, `name`, `purpose`, `condition`, `language`, `desk` (code
of the desk that shows its cases), `members` (joined), `open_cases`, `measures` (objects with `kind`, `until` (0: no
end), `basis`, `case`, `every` (milliseconds, of slow mode)), `rules` (its own: objects with `name`, `by`, `since`,
`settings` as in `[[rules]]`), `chosen` (what its owner chose: setting and value, as in docs/records.md). Left to
others: ordering and lifting measures (`measures.py`).
"""

from json import loads as parsed
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.access.lookup import as_dict, read
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from bot.cli.terminal.output import Cells, text, word, worded
from bot.cli.terminal.tables import Look, list_rows
from moderation.values.notices import Moment

from .measures import add_measures

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

KEYS = ("code", "room", "name", "purpose", "condition", "language", "desk", "members", "open_cases")

app = new_app("cli.rooms.help")


@app.callback(invoke_without_command=True, help=text("cli.rooms.help"), epilog=text("cli.rooms.epilog"))
def rooms(
    context: typer.Context,
    config_file: ConfigFile = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", "-a", help=text("cli.rooms.all"))] = False,
    json: AsJson = False,
    wide: Wide = False,
) -> None:
    """List the rooms."""
    if context.invoked_subcommand is not None:
        return
    config = read_config(config_file)
    found = read(config, _rooms)
    chosen = [row for row in found if every or (row["purpose"] == "group" and row["condition"] != "left")]
    columns = ("code", "name", "condition", "members", "open_cases", "desk", "measures", "room")
    show: Cells = {"condition": worded("condition"), "measures": lambda measures: "; ".join(map(_measure, measures))}
    list_rows(chosen, columns, show, json=json, none="cli.rooms.none", look=Look(wide, config.server))


def _measure(measure: dict[str, Any]) -> str:
    kind = word("sanction", measure["kind"])
    if not measure["until"]:
        return kind
    return text("cli.rooms.until", kind=kind, until=Moment(measure["until"]))


add_measures(app)


async def _rooms(db: "AsyncConnection") -> list[dict[str, Any]]:
    from sqlalchemy import func, select

    from bot.cli.cases import UNDECIDED
    from storage import schema

    joined = (
        select(func.count())
        .where(schema.members.c.room == schema.rooms.c.room, schema.members.c.membership == "join")
        .scalar_subquery()
    )
    pending = (
        select(func.count())
        .where(schema.cases.c.room == schema.rooms.c.room, schema.cases.c.state.in_(UNDECIDED))
        .scalar_subquery()
    )
    columns = (schema.rooms.c[key] for key in KEYS[:-2])
    query = select(*columns, joined.label("members"), pending.label("open_cases")).order_by(schema.rooms.c.entered)
    in_force, chosen = await _measures(db), await _chosen(db)
    return [
        {
            **as_dict(row),
            "measures": in_force.get(row.room, []),
            "rules": await _rules(db, row.room),
            "chosen": chosen.get(row.room, {}),
        }
        for row in (await db.execute(query)).all()
    ]


async def _chosen(db: "AsyncConnection") -> dict[str, dict[str, str]]:
    from sqlalchemy import select

    from storage import schema

    found: dict[str, dict[str, str]] = {}
    for row in await db.execute(select(schema.room_settings)):
        found.setdefault(row.room, {})[row.setting] = row.value
    return found


async def _rules(db: "AsyncConnection", room: str) -> list[dict[str, Any]]:
    from moderation.values.ids import RoomId
    from storage import queries

    return [
        {"name": each.name, "by": each.by, "since": each.at, "settings": parsed(each.settings)}
        for each in await queries.rules_of_room(db, RoomId(room))
    ]


async def _measures(db: "AsyncConnection") -> dict[str, list[dict[str, Any]]]:
    from moderation.model.facts import OF_ROOMS
    from storage import queries

    found: dict[str, list[dict[str, Any]]] = {}
    for each in await queries.all_in_force(db):
        if each.kind in OF_ROOMS:
            measure = {"kind": each.kind, "until": each.until, "basis": each.basis, "case": each.n, "every": each.every}
            found.setdefault(str(each.room), []).append(measure)
    return found
