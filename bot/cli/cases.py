"""`answerable cases [N]`: the list of cases, or one of them.

What people wrote is not shown here: reading it needs a reason (`answerable logs show`). A look at cases is recorded,
once a day for each person and reader.

``--json`` of the list: objects with the keys `n`, `room` (code), `subject`, `rule`, `class`, `state`, `outcome`,
`opened`, `due`, `decided` (0: not yet). Of one case: the same, and `room_id`, `decide`, `by`, `reason`, `record`,
`reports` (how many reported it), `evidence` (objects with `record` and `event`), `server` and `list` (if a policy list
named a server).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Refused

from .access.access_reason import note_look
from .access.lookup import find_room, now_ms, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from .terminal.output import Cells, as_json, say, text, word, worded
from .terminal.tables import Look, list_rows, sheet_of, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from storage.queries import ListedCase, WholeCase

SHOWN = (
    "n",
    "room",
    "subject",
    "server",
    "list",
    "rule",
    "class",
    "reports",
    "state",
    "outcome",
    "opened",
    "due",
    "decided",
    "by",
    "reason",
)
_SHOW: Cells = {"reports": str, "class": worded("class"), "outcome": worded("outcome")}

app = new_app("cli.cases.help")


@app.command(help=text("cli.cases.help"), epilog=text("cli.cases.epilog"))
def cases(
    n: Annotated[int | None, typer.Argument(metavar="[N]", help=text("cli.cases.n"), min=1)] = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
    only_open: Annotated[bool, typer.Option("--open", "-o", help=text("cli.cases.open"))] = False,
    room: Annotated[str | None, typer.Option("--room", "-r", help=text("cli.option.room"))] = None,
    json: AsJson = False,
    wide: Wide = False,
) -> None:
    """Show cases."""
    config = read_config(config_file)
    look = Look(wide, config.server)
    if n is not None:
        case = read(config, _one, n).as_json()
        note_look(config.data_dir, "case", now_ms(), case=n)
        _show_one(case, look, json=json)
        return
    found = [case.as_json() for case in read(config, _list, room, only_open=only_open)]
    note_look(config.data_dir, "cases", now_ms(), room=room)
    if not json:
        found = [{**row, "state": _state(row), "due": row["due"] if _waits(row) else 0} for row in found]
    columns = ("n", "room", "subject", "rule", "class", "state", "outcome", "due")
    none = "cli.cases.none_open" if only_open else "cli.cases.none"
    list_rows(found, columns, _SHOW, json=json, none=none, look=look)


def _show_one(case: dict[str, Any], look: Look, *, json: bool) -> None:
    if json:
        as_json(case)
        return
    shown = {**case, "state": _state(case)}
    sheet_of(shown, (key for key in SHOWN if case[key] not in ("", 0)), _SHOW)
    if case["evidence"]:
        table_of(case["evidence"], ("record", "event"), look=look)
        say("cli.cases.read_more", record=str(case["evidence"][0]["record"]))


def _state(case: dict[str, Any]) -> str:
    state = word("state", case["state"])
    return text("cli.cases.late", state=state) if _waits(case) and case["due"] < now_ms() else state


def _waits(case: dict[str, Any]) -> bool:
    from storage.queries import UNDECIDED_STATES

    return case["state"] in UNDECIDED_STATES


async def _list(db: "AsyncConnection", typed: str | None, *, only_open: bool) -> "list[ListedCase]":
    from storage import queries

    room = (await find_room(db, typed)).room if typed is not None else None
    return await queries.cases_listed(db, room, only_open=only_open)


async def _one(db: "AsyncConnection", n: int) -> "WholeCase":
    from storage import queries

    found = await queries.whole_case(db, n)
    if found is None:
        last = await queries.last_case(db)
        raise Refused("cli.cases.unknown", n=n, last=last) if last else Refused("cli.cases.none")
    return found
