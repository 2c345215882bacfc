"""`answerable rooms acl list|deny|allow ROOM`: servers that a room lets in no longer, as `!acl` in the chat.

``--json`` of list: a list of objects with the keys `server`, `by`, `at`, `until` (0: no end), `reason`, `step` (what
the bot keeps in the room: held, overruled; "": nothing of its own), `n` (the case, if a policy list brought it; else
0). Of the others: `room` (code), `server`, `case` and
`until` (null when it is lifted). Left to others: what is written (`bot/admin/room_servers.py`).
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.access.access_reason import Reason, length_of
from bot.cli.access.lookup import find_code, find_room, read
from bot.cli.access.operator import As, perform_as
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, RoomArgument, Wide, new_app, read_config
from bot.cli.terminal.output import as_json, say, say_done, text
from bot.cli.terminal.tables import Look, list_rows
from moderation.values.ids import RoomId
from moderation.values.notices import Moment

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from storage.queries import DeniedServer

app = new_app("cli.rooms.acl.help")
Server = Annotated[str, typer.Argument(metavar="SERVER", help=text("cli.rooms.acl.server"))]


@app.command("list", help=text("cli.rooms.acl.list"), epilog=text("cli.rooms.acl.epilog"))
def denied(
    room: RoomArgument, json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG
) -> None:
    """List the servers that a room lets in no longer through the bot."""
    config = read_config(config_file)
    found = [asdict(each) for each in read(config, _denied, room)]
    columns = ("server", "until", "by", "at", "reason")
    list_rows(found, columns, json=json, none="cli.rooms.acl.none", look=Look(wide, config.server))


async def _denied(db: "AsyncConnection", room: str) -> "tuple[DeniedServer, ...]":
    from storage import queries

    return await queries.denied_servers(db, RoomId((await find_room(db, room)).room))


@app.command("deny", help=text("cli.rooms.acl.deny"), epilog=text("cli.rooms.acl.epilog"))
def deny(
    room: RoomArgument,
    server: Server,
    reason: Reason,
    lasts: Annotated[str | None, typer.Option("--for", metavar="30d", help=text("cli.rooms.acl.for"))] = None,
    people: Annotated[int, typer.Option("--people", min=0, metavar="N", help=text("cli.rooms.acl.count"))] = 0,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Keep a server out of a room."""
    config = read_config(config_file)
    said = {"room": read(config, find_code, room), "server": server, "people": people}
    for_ms = length_of(lasts) if lasts is not None else 0
    done = perform_as(operator, config, "room-acl-deny", reason=reason, for_ms=for_ms, **said)
    if json:
        as_json(done)
        return
    say("cli.rooms.acl.denied", code=done["room"], server=done["server"], n=str(done["case"]))
    if done["until"]:
        say("notice.until", until=Moment(done["until"]))


@app.command("allow", help=text("cli.rooms.acl.allow"), epilog=text("cli.rooms.acl.epilog"))
def allow(
    room: RoomArgument,
    server: Server,
    reason: Reason,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Let a server in again."""
    config = read_config(config_file)
    code = read(config, find_code, room)
    done = perform_as(operator, config, "room-acl-allow", reason=reason, room=code, server=server, for_ms=0)
    say_done(done, "cli.rooms.acl.allowed", json=json, code=done["room"], server=done["server"])
