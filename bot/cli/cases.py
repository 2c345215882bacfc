"""`answerable cases [N]`: the list of cases, or one of them.

What people wrote is not shown here: reading it needs a reason (`answerable logs show`). A look at cases is recorded,
once a day for each person and reader.

``--json`` of the list: objects with the keys `n`, `room` (code), `subject`, `rule`, `class`, `state`, `outcome`,
`opened`, `due`, `decided` (0: not yet). Of one case: the same, and `room_id`, `decide`, `by`, `reason`, `record`,
`reports` (how many reported it) and `evidence` (objects with `record` and `event`).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Refused

from .access.access_reason import note_look
from .access.lookup import as_dict, find_room, now_ms, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from .terminal.output import Cells, as_json, say, text, word, worded
from .terminal.tables import Look, list_rows, sheet_of, table_of

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

# The states in which somebody still has to decide.
UNDECIDED = ("open", "acknowledged", "overdue", "escalated_owner", "escalated_operator", "appealed")
SHOWN = (
    "n",
    "room",
    "subject",
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
LISTED = ("n", "room", "subject", "rule", "class", "state", "outcome", "opened", "due", "decided")

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
        case = read(config, _one, n)
        note_look(config.data_dir, "case", now_ms(), case=n)
        _show_one(case, look, json=json)
        return
    found = read(config, _list, room, only_open=only_open)
    note_look(config.data_dir, "cases", now_ms(), room=room)
    if not json:
        found = [{**row, "state": _state(row), "due": row["due"] if row["state"] in UNDECIDED else 0} for row in found]
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
    late = case["state"] in UNDECIDED and case["due"] < now_ms()
    return text("cli.cases.late", state=state) if late else state


def _select() -> "Select[Any]":
    from sqlalchemy import select

    from storage import schema

    c = schema.cases.c
    return (
        select(
            c.n,
            schema.rooms.c.code.label("room"),
            c.subject,
            c.rule,
            c.grade.label("class"),
            c.state,
            c.outcome,
            c.opened,
            c.due,
            c.decided,
            c.room.label("room_id"),
            c.decide,
            c.by,
            c.reason,
            c.record,
        )
        .select_from(schema.cases.outerjoin(schema.rooms, schema.rooms.c.room == c.room))
        .order_by(c.n)
    )


async def _list(db: "AsyncConnection", typed: str | None, *, only_open: bool) -> list[dict[str, Any]]:
    from storage import schema

    query = _select()
    if typed is not None:
        query = query.where(schema.cases.c.room == (await find_room(db, typed)).room)
    if only_open:
        query = query.where(schema.cases.c.state.in_(UNDECIDED)).order_by(None).order_by(schema.cases.c.due)
    rows = [as_dict(row) for row in await db.execute(query)]
    return [{key: row[key] for key in LISTED} for row in rows]


async def _one(db: "AsyncConnection", n: int) -> dict[str, Any]:
    from sqlalchemy import func, select

    from storage import schema
    from storage.queries import how_many, reports_of

    row = (await db.execute(_select().where(schema.cases.c.n == n))).first()
    if row is None:
        last = int(await db.scalar(select(func.max(schema.cases.c.n))) or 0)
        raise Refused("cli.cases.unknown", n=n, last=last) if last else Refused("cli.cases.none")
    events = select(schema.evidence).where(schema.evidence.c.n == n).order_by(schema.evidence.c.record)
    evidence = [{"record": item.record, "event": item.event} for item in await db.execute(events)]
    return {**as_dict(row), "reports": how_many(await reports_of(db, n)), "evidence": evidence}
