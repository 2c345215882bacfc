"""`answerable barred`: the list of people who are kept out of every protected room.

``list --json``: objects with the keys `person`, `since`, `until`, `basis` (credit or operator), `case`, `by`, `reason`,
`record`. ``show --json``: `person`, `accounts`, `barred` (whether they are now), `entries` (as above, and `ended`, 0:
in force, and `why_ended`), `evidence` (numbers of cases). ``add --json``: `person`, `case`, `until`, `room`. ``remove
--json``: `person`, `cases`.

Left to others: what is written (`bot/admin/barred.py`).
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Invalid
from moderation.values.notices import Moment, Who

from .access.access_reason import Reason, end_of, length_of, person_of
from .access.lookup import find_code, now_ms, read
from .access.operator import As, perform_as
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, PersonArgument, Wide, new_app, read_config
from .terminal.output import Cells, as_json, say, say_done, text, worded
from .terminal.tables import Look, list_rows, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config

_SHOW: Cells = {"basis": worded("basis")}

app = new_app("cli.barred.help")


@app.command("list", help=text("cli.barred.list_help"))
def list_(json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """List the people on it."""
    from storage import queries

    config = read_config(config_file)
    found = [asdict(each) for each in read(config, queries.barred_entries) if not each.ended]
    listed = [{key: value for key, value in row.items() if key not in ("ended", "why_ended")} for row in found]
    columns = ("person", "since", "until", "basis", "case", "reason")
    list_rows(listed, columns, _SHOW, json=json, none="cli.barred.none", look=Look(wide, config.server))


@app.command(help=text("cli.barred.add_help"), epilog=text("cli.barred.add_epilog"))
def add(
    person: PersonArgument,
    reason: Reason,
    until: Annotated[str | None, typer.Option(metavar="DATE", help=text("cli.barred.until"))] = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="90d", help=text("cli.barred.for"))] = None,
    evidence: Annotated[
        list[int] | None, typer.Option("--evidence", "-n", metavar="CASE", min=1, help=text("cli.barred.evidence_help"))
    ] = None,
    room: Annotated[str | None, typer.Option("--room", "-r", help=text("cli.barred.room"))] = None,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Put a person on it."""
    config = read_config(config_file)
    asked = {
        "person": person_of(person),
        "until": _end(config, until, for_),
        "evidence": evidence or [],
        "room": read(config, find_code, room) if room else "",
    }
    done = perform_as(operator, config, "bar", reason=reason, **asked)
    who, until_ms = Who(done["person"]), Moment(done["until"])
    say_done(done, "cli.barred.added", json=json, who=who, until=until_ms, n=done["case"], room=done["room"])


@app.command(help=text("cli.barred.show_help"))
def show(
    person: PersonArgument, json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Show all that the list holds about one person."""
    asked, config = person_of(person), read_config(config_file)
    found = read(config, _one, asked)
    if json:
        as_json(found)
        return
    say("cli.barred.is" if found["barred"] else "cli.barred.is_not", who=Who(asked))
    if len(found["accounts"]) > 1:
        say("cli.barred.accounts", accounts=", ".join(found["accounts"]))
    if found["entries"]:
        columns = ("since", "until", "basis", "case", "by", "reason", "ended")
        table_of(found["entries"], columns, _SHOW, Look(wide, config.server))
    if found["evidence"]:
        say("cli.barred.rests_on", cases=", ".join(map(str, found["evidence"])))


@app.command(help=text("cli.barred.remove_help"), epilog=text("cli.barred.remove_epilog"))
def remove(
    person: PersonArgument,
    reason: Reason,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Take a person off it."""
    done = perform_as(operator, read_config(config_file), "unbar", reason=reason, person=person_of(person))
    say_done(done, "cli.barred.removed", json=json, who=Who(done["person"]))


def _end(config: "Config", until: str | None, lasts: str | None) -> int:
    """Return when the entry ends, or is reviewed. Raises `Invalid`."""
    now = now_ms()
    if until is not None and lasts is not None:
        raise Invalid(text("cli.barred.one_end"))
    if lasts is not None:
        return now + length_of(lasts)
    return end_of(until, now) if until is not None else now + config.tiers.barred_for


async def _one(db: "AsyncConnection", person: str) -> dict[str, Any]:
    from moderation.values.ids import UserId
    from storage import queries

    accounts = await queries.accounts_of(db, UserId(person))
    entries = await queries.barred_entries(db, accounts)
    cases = [each.case for each in entries if each.case]
    return {
        "person": person,
        "accounts": list(accounts),
        "barred": any(not each.ended for each in entries),
        "entries": [asdict(each) for each in entries],
        "evidence": await queries.cases_sharing_messages(db, cases),
    }
