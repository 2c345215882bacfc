"""`answerable members ROOM`: the people in a room, their roles, and whether they are verified.

``--json``: a list of objects with the keys `user`, `display_name`, `membership`, `role`, `verified` (the highest level
in force, 0 for none).
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .access.access_reason import note_look
from .access.lookup import find_room, now_ms, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, RoomArgument, Wide, new_app, read_config
from .terminal.output import Cells, text, worded
from .terminal.tables import Look, list_rows

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from storage.queries import ListedMember

_SHOW: Cells = {"role": worded("role"), "membership": worded("membership"), "verified": "L{}".format}

app = new_app("cli.members.help")


@app.command(help=text("cli.members.help"), epilog=text("cli.members.epilog"))
def members(
    room: RoomArgument,
    config_file: ConfigFile = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", "-a", help=text("cli.members.all"))] = False,
    json: AsJson = False,
    wide: Wide = False,
) -> None:
    """List the members of a room."""
    config = read_config(config_file)
    found = [asdict(each) for each in read(config, _members, room) if every or each.membership == "join"]
    note_look(config.data_dir, "members", now_ms(), room=room)
    columns = ("user", "display_name", "role", "membership", "verified")
    list_rows(found, columns, _SHOW, json=json, none="cli.members.none", look=Look(wide, config.server))


async def _members(db: "AsyncConnection", typed: str) -> "list[ListedMember]":
    from storage import queries

    return await queries.members_listed(db, (await find_room(db, typed)).room, now_ms())
