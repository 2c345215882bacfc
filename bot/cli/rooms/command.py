"""`answerable rooms`: the rooms the bot serves, how well it can, and the measures in force against them.

``--json``: a list of objects with the keys `code`, `room`, `name`, `purpose`, `condition`, `language`, `desk` (code
of the desk that shows its cases), `members` (joined), `open_cases`, `measures` (objects with `kind`, `until` (0: no
end), `basis`, `case`, `every` (milliseconds, of slow mode)), `rules` (its own: objects with `name`, `by`, `since`,
`settings` as in `[[rules]]`), `chosen` (what its owner chose: setting and value, as in docs/records.md). Left to
others: ordering and lifting measures (`measures.py`), servers that rooms let in no longer (`acl.py`).
"""

from typing import Annotated, Any

import typer

from bot.cli.access.lookup import read
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from bot.cli.terminal.output import Cells, text, word, worded
from bot.cli.terminal.tables import Look, list_rows
from moderation.values.notices import Moment

from .acl import app as acl_app
from .measures import add_measures

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
    from storage import queries

    config = read_config(config_file)
    found = read(config, queries.rooms_listed)
    chosen = [each.as_json() for each in found if every or (each.purpose == "group" and each.condition != "left")]
    columns = ("code", "name", "condition", "members", "open_cases", "desk", "measures", "room")
    show: Cells = {"condition": worded("condition"), "measures": _measures}
    list_rows(chosen, columns, show, json=json, none="cli.rooms.none", look=Look(wide, config.server))


def _measures(measures: list[dict[str, Any]]) -> str:
    """Return what holds for a room; of the servers that it keeps out, the number."""
    servers = sum(each["kind"] == "server" for each in measures)
    shown = [_measure(each) for each in measures if each["kind"] != "server"]
    return "; ".join([*shown, *([text("cli.rooms.servers", count=servers)] if servers else [])])


def _measure(measure: dict[str, Any]) -> str:
    kind = word("sanction", measure["kind"])
    if not measure["until"]:
        return kind
    return text("cli.rooms.until", kind=kind, until=Moment(measure["until"]))


add_measures(app)
app.add_typer(acl_app, name="acl")
