"""`answerable members ROOM`: the people in a room, their roles, and whether they are verified.

``--json``: a list of objects with the keys `user`, `display_name`, `membership`, `role`, `verified` (the highest level
in force, 0 for none).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .access.access_reason import note_look
from .access.lookup import data_dir, find_room, now_ms, read
from .console.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app
from .console.output import as_json, say, table, text, word

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config

KEYS = ("user", "display_name", "membership", "role", "verified")
_ROLES = ("owner", "manager", "member")  # in this order

app = new_app("cli.members.help")


@app.command(help=text("cli.members.help"), epilog=text("cli.members.epilog"))
def members(
    room: Annotated[str, typer.Argument(metavar="ROOM", help=text("cli.option.room"))],
    config_file: ConfigFile = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", "-a", help=text("cli.members.all"))] = False,
    json: AsJson = False,
) -> None:
    """List the members of a room."""

    async def query(db: "AsyncConnection", _config: "Config") -> list[dict[str, Any]]:
        return await _members(db, room)

    found = [row for row in read(config_file, query) if every or row["membership"] == "join"]
    note_look(data_dir(config_file), "members", now_ms(), room=room)
    if json:
        as_json(found)
    elif found:
        columns = ("user", "display_name", "role", "membership", "verified")
        table(columns, ([_cell(row, column) for column in columns] for row in found))
    else:
        say("cli.members.none")


def _cell(row: dict[str, Any], column: str) -> object:
    if column == "verified":
        return f"L{row[column]}"
    return word(column, row[column]) if column in ("role", "membership") else row[column]


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
