"""`answerable logs hold`: postpone erasing and purging of some records, for a named duty and until a date.

`place` prints the number that names the hold, `end` ends it early, `list` shows those in force. ``--json``: `hold`;
for `list` objects with `hold`, `duty`, `until`, `covers`.
"""

from typing import Annotated

import orjson
import typer

from bot.cli.access.access_reason import (
    DataDir,
    Reason,
    Since,
    check_reason,
    data_dir_of,
    end_of,
    group_of,
    moment_of,
    person_of,
)
from bot.cli.access.admin_client import perform
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from bot.cli.terminal.output import Cells, say_done, text
from bot.cli.terminal.progress import progress
from bot.cli.terminal.tables import Look, list_rows
from moderation.values.notices import Moment

app = new_app("cli.logs.hold.help")


@app.command(help=text("cli.logs.hold.place_help"), epilog=text("cli.logs.hold.place_epilog"))
def place(
    duty: Annotated[str, typer.Option(metavar="TEXT", help=text("cli.logs.hold.duty"))],
    until: Annotated[str, typer.Option(metavar="TIME", help=text("cli.logs.hold.until"))],
    person: Annotated[list[str] | None, typer.Option("--person", "-p", help=text("cli.logs.hold.person"))] = None,
    room: Annotated[list[str] | None, typer.Option("--room", "-r", help=text("cli.logs.hold.room"))] = None,
    case: Annotated[list[int] | None, typer.Option("--case", help=text("cli.logs.hold.case"))] = None,
    records: Annotated[str, typer.Option(metavar="740-745,800", help=text("cli.logs.hold.records"))] = "",
    since: Since = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Place a hold."""
    config, now = read_config(config_file), now_ms()
    covers: dict[str, object] = {
        "persons": [person_of(each) for each in person or ()],
        "groups": [group_of(config.data_dir / "records", each) for each in room or ()],
        "cases": case or [],
    }
    covers = {name: value for name, value in covers.items() if value}
    if records:
        covers["records"] = records
    if since is not None:
        covers["since"] = moment_of(since, now)
    arguments = {"duty": duty, "until": end_of(until, now), "covers": orjson.dumps(covers).decode()}
    done = perform(config, "hold", case=(case or [0])[0], **arguments)
    say_done(done, "cli.logs.hold.placed", json=json, hold=str(done["hold"]), until=Moment(end_of(until, now)))


@app.command(help=text("cli.logs.hold.end_help"))
def end(
    hold: Annotated[int, typer.Argument(min=0)],
    reason: Reason,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """End a hold."""
    done = perform(read_config(config_file), "end-hold", hold=hold, reason=check_reason(reason))
    say_done(done, "cli.logs.hold.ended", json=json, hold=str(hold))


@app.command("list", help=text("cli.logs.hold.list_help"))
def list_(
    json: AsJson = False, wide: Wide = False, data_dir: DataDir = None, config_file: ConfigFile = DEFAULT_CONFIG
) -> None:
    """List the holds in force."""
    from storage.journal.retention.legal_holds import holds_in_force

    with progress():
        holds = holds_in_force(data_dir_of(data_dir, config_file) / "records", now_ms()).holds
    rows = [{"hold": h.index, "duty": h.duty, "until": h.until_ms, "covers": h.covers.text} for h in holds]
    if json:
        rows = [{**row, "covers": orjson.loads(str(row["covers"]))} for row in rows]
    show: Cells = {"covers": _covered}
    list_rows(rows, ("hold", "duty", "until", "covers"), show, json=json, none="cli.logs.hold.none", look=Look(wide))


def _covered(covers: str) -> str:
    """Return what a hold covers, such as "@anna:example.org, case 5"."""
    told = orjson.loads(covers)
    named = [str(each) for name in ("persons", "groups") for each in told.get(name, ())]
    named += [text("cli.logs.hold.covers.case", n=n) for n in told.get("cases", ())]
    named += [text("cli.logs.hold.covers.records", records=told["records"])] if "records" in told else []
    named += [text("cli.logs.hold.covers.since", at=Moment(told["since"]))] if "since" in told else []
    named += [text("cli.logs.hold.covers.until", at=Moment(told["until"]))] if "until" in told else []
    return ", ".join(named)
