"""`answerable barred`: the list of people who are kept out of every protected room.

``list --json``: objects with the keys `person`, `since`, `until`, `basis` (credit or operator), `case`, `by`, `reason`,
`record`. ``show --json``: `person`, `accounts`, `barred` (whether they are now), `entries` (as above, and `ended`, 0:
in force, and `why_ended`), `evidence` (numbers of cases). ``add --json``: `person`, `case`, `until`, `room`. ``remove
--json``: `person`, `cases`.

Left to others: what is written (`bot/admin/barred.py`).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Invalid
from moderation.values.notices import Moment, Who

from .access.access_reason import Reason, check_reason, person_of, user
from .access.lookup import find_room, now_ms, read
from .access.operator import AS, HELP, operator_of
from .console.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app
from .console.output import as_json, say, table, text, word

if TYPE_CHECKING:
    from sqlalchemy.engine import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config

app = new_app("cli.barred.help")

Person = Annotated[str, typer.Argument(metavar="@USER:SERVER", help=text("cli.option.person"))]
As = Annotated[str | None, typer.Option(AS, metavar="@OP:SERVER", help=HELP)]


@app.command("list", help=text("cli.barred.list_help"))
def list_(json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """List the people on it."""

    async def query(db: "AsyncConnection", _config: "Config") -> list[dict[str, Any]]:
        return [_entry(row) for row in await _entries(db) if not row.ended]

    found = read(config_file, query)
    if json:
        as_json([{key: value for key, value in row.items() if key not in ("ended", "why_ended")} for row in found])
    elif found:
        columns = ("person", "since", "until", "basis", "case", "reason")
        table(columns, ([_cell(row, column) for column in columns] for row in found))
    else:
        say("cli.barred.none")


@app.command(help=text("cli.barred.add_help"), epilog=text("cli.barred.add_epilog"))
def add(
    person: Person,
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
    from bot.config.config import load_config

    from .access.admin_client import perform

    config = load_config(config_file)
    asked = {
        "person": person_of(person),
        "by": operator_of(config, operator),
        "reason": check_reason(reason),
        "until": _end(config, until, for_),
        "evidence": evidence or [],
        "room": _code(config_file, room) if room else "",
        "reader": user(),
    }
    done = perform(config, "bar", **asked)
    if json:
        as_json(done)
    else:
        say("cli.barred.added", who=Who(done["person"]), until=Moment(done["until"]), n=done["case"], room=done["room"])


@app.command(help=text("cli.barred.show_help"))
def show(person: Person, json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Show all that the list holds about one person."""
    asked = person_of(person)

    async def query(db: "AsyncConnection", _config: "Config") -> dict[str, Any]:
        return await _one(db, asked)

    found = read(config_file, query)
    if json:
        as_json(found)
        return
    say("cli.barred.is" if found["barred"] else "cli.barred.is_not", who=Who(asked))
    if len(found["accounts"]) > 1:
        say("cli.barred.accounts", accounts=", ".join(found["accounts"]))
    if found["entries"]:
        columns = ("since", "until", "basis", "case", "by", "reason", "ended")
        table(columns, ([_cell(row, column) for column in columns] for row in found["entries"]))
    if found["evidence"]:
        say("cli.barred.rests_on", cases=", ".join(map(str, found["evidence"])))


@app.command(help=text("cli.barred.remove_help"), epilog=text("cli.barred.remove_epilog"))
def remove(
    person: Person,
    reason: Reason,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Take a person off it."""
    from bot.config.config import load_config

    from .access.admin_client import perform

    config = load_config(config_file)
    asked = {"person": person_of(person), "by": operator_of(config, operator), "reason": check_reason(reason)}
    done = perform(config, "unbar", **asked, reader=user())
    if json:
        as_json(done)
    else:
        say("cli.barred.removed", who=Who(done["person"]))


def _end(config: "Config", until: str | None, lasts: str | None) -> int:
    """Return when the entry ends, or is reviewed. Raises `Invalid`."""
    from moderation.values.durations import parse_duration

    from .logs.hold import end_of

    now = now_ms()
    if until is not None and lasts is not None:
        raise Invalid(text("cli.barred.one_end"))
    if lasts is not None:
        try:
            return now + parse_duration(lasts)
        except ValueError:
            raise Invalid(text("cli.barred.bad_length", typed=lasts)) from None
    return end_of(until, now) if until is not None else now + config.tiers.barred_for


def _code(config_file: "ConfigFile", typed: str) -> str:
    async def query(db: "AsyncConnection", _config: "Config") -> str:
        return str((await find_room(db, typed)).code)

    return read(config_file, query)


async def _entries(db: "AsyncConnection", accounts: tuple[str, ...] = ()) -> "list[Row[Any]]":
    from sqlalchemy import select

    from storage import schema

    s = schema.sanctions.c
    query = select(schema.sanctions).where(s.kind == "ban", s.room == "").order_by(s.record)
    if accounts:
        query = query.where(s.subject.in_(accounts))
    return list(await db.execute(query))


def _entry(row: "Row[Any]") -> dict[str, Any]:
    return {
        "person": row.subject,
        "since": row.at,
        "until": row.until,
        "basis": row.basis,
        "case": row.n or None,
        "by": row.by,
        "reason": row.reason,
        "record": row.record,
        "ended": row.ended,
        "why_ended": row.why_ended,
    }


async def _one(db: "AsyncConnection", person: str) -> dict[str, Any]:
    from moderation.values.ids import UserId
    from storage import queries

    accounts = await queries.accounts_of(db, UserId(person))
    rows = await _entries(db, accounts)
    cases = [row.n for row in rows if row.n]
    return {
        "person": person,
        "accounts": list(accounts),
        "barred": any(not row.ended for row in rows),
        "entries": [_entry(row) for row in rows],
        "evidence": await _evidence(db, cases),
    }


async def _evidence(db: "AsyncConnection", cases: list[int]) -> list[int]:
    """Return the other cases whose messages these cases rest on."""
    from sqlalchemy import select

    from storage import schema

    own, other = schema.evidence.alias(), schema.evidence.alias()
    query = (
        select(other.c.n)
        .join(own, own.c.record == other.c.record)
        .where(own.c.n.in_(cases), other.c.n.not_in(cases))
        .distinct()
        .order_by(other.c.n)
    )
    return [row.n for row in await db.execute(query)]


def _cell(row: dict[str, Any], column: str) -> object:
    value = row[column]
    match column:
        case "since" | "until" | "ended":
            return Moment(value) if value else ""
        case "basis":
            return word("basis", value)
        case "case":
            return "" if value is None else str(value)
        case _:
            return value
