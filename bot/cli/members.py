"""`answerable members ROOM`: the people in a room, their roles, and whether they are verified.

``--json``: a list of objects with the keys `user`, `display_name`, `membership`, `role`, `verified` (the highest level
in force, 0 for none).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .access.access_reason import note_look
from .access.lookup import find_room, now_ms, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, RoomArgument, Wide, new_app, read_config
from .terminal.output import Cells, text, worded
from .terminal.tables import Look, list_rows

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

KEYS = ("user", "display_name", "membership", "role", "verified")
_SHOW: Cells = {"role": worded("role"), "membership": worded("membership"), "verified": "L{}".format}
_ROLES = ("owner", "manager", "member")  # in this order

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
    found = [row for row in read(config, _members, room) if every or row["membership"] == "join"]
    note_look(config.data_dir, "members", now_ms(), room=room)
    columns = ("user", "display_name", "role", "membership", "verified")
    list_rows(found, columns, _SHOW, json=json, none="cli.members.none", look=Look(wide, config.server))


async def _members(db: "AsyncConnection", typed: str) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from storage import schema

    room = await find_room(db, typed)
    rows = (await db.execute(select(schema.members).where(schema.members.c.room == room.room))).all()
    levels = await _levels(db)
    found = [{**{key: row._mapping[key] for key in KEYS[:-1]}, "verified": levels.get(row.user, 0)} for row in rows]
    return sorted(found, key=lambda row: (_ROLES.index(row["role"]), row["user"]))


async def _levels(db: "AsyncConnection") -> dict[str, int]:
    """Return the highest level of verification in force, by account; a person's accounts share it."""
    from sqlalchemy import func, select

    from storage import schema

    v = schema.verifications.c
    query = select(v.person, func.max(v.level)).where(v.revoked == 0, v.until > now_ms()).group_by(v.person)
    by_person = {person: int(level) for person, level in await db.execute(query)}
    linked = await db.execute(select(schema.accounts.c.user, schema.accounts.c.person))
    return by_person | {user: by_person[person] for user, person in linked if person in by_person}
