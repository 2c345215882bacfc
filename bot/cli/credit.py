"""`answerable credit [PERSON]`: one person's credit and all that led to it, or everybody with an entry.

With ``--standing`` it shows the ledger of people who run groups instead.

``--json`` without a person: a list of objects with the keys `person`, `community` (null: everywhere), `credit`, `tier`
there, `entries` (how many count there now). With a person: an object with the keys `user`, `person`, `credit` (what
counts everywhere), `tier`, `back_in_a` (when that is back in tier A if nothing more is charged; null if it is now),
`in_force` (objects with `kind`, `room` (null: every room), `community` (null: not in all rooms of one), `until` (0: no
end), `basis`, `case`), `communities` (objects with `community`, and `credit`, `tier` there), `entries` (objects with
`record`, `at`, `entry`, `cost`, `rule`, `class`, `case`, `counts`, `community` (null: everywhere)).
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.model.facts import Ledger
from moderation.values.notices import Moment, Who

from .access.access_reason import note_look
from .access.lookup import find_person, now_ms, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from .terminal.output import Cells, as_json, say, text, word, worded
from .terminal.tables import Look, list_rows, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config

_SHOW: Cells = {
    "entry": worded("entry"),
    "class": lambda grade: word("class", grade or "-"),
    "counts": lambda counts: text("cli.yes" if counts else "cli.no"),
}

app = new_app("cli.credit.help")


@app.command(help=text("cli.credit.help"), epilog=text("cli.credit.epilog"))
def credit(
    person: Annotated[str | None, typer.Argument(metavar="[PERSON]", help=text("cli.option.person"))] = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
    standing: Annotated[bool, typer.Option("--standing", help=text("cli.credit.standing"))] = False,
    json: AsJson = False,
    wide: Wide = False,
) -> None:
    """Show credit."""
    ledger: Ledger = "standing" if standing else "credit"
    config = read_config(config_file)
    look = Look(wide, config.server)
    if person is None:
        everybody = read(config, _everybody, config, ledger)
        note_look(config.data_dir, "credit", now_ms())
        columns = ("person", "community", "credit", "tier", "entries")
        list_rows(everybody, columns, json=json, none="cli.credit.none", look=look)
        return
    found = read(config, _one, config, person, ledger)
    note_look(config.data_dir, "credit", now_ms(), person=found["user"])
    _show_one(found, look, json=json)


def _show_one(found: dict[str, Any], look: Look, *, json: bool) -> None:
    if json:
        as_json(found)
        return
    say("cli.credit.balance", user=Who(found["user"]), credit=found["credit"], tier=found["tier"])
    if found["back_in_a"] is not None:
        say("cli.credit.back", at=Moment(found["back_in_a"]))
    for hold in found["in_force"]:
        key = "cli.credit.in_force" if hold["until"] else "cli.credit.in_force_open"
        place = _place(hold)
        say(key, kind=word("sanction", hold["kind"]), room=place, until=Moment(hold["until"]))
    for there in found["communities"]:
        say("cli.credit.there", **there)
    if not found["entries"]:
        say("cli.credit.no_entries")
        return
    columns = ("at", "entry", "cost", "rule", "class", "case", "community", "counts")
    table_of(found["entries"], columns, _SHOW, look)


def _place(hold: dict[str, Any]) -> str:
    if hold["community"]:
        return text("cli.credit.community", community=hold["community"])
    return hold["room"] or text("cli.credit.everywhere")


async def _everybody(db: "AsyncConnection", config: "Config", ledger: Ledger) -> list[dict[str, Any]]:
    from storage.queries import listed_balances

    return [asdict(each) for each in await listed_balances(db, ledger, config.policy, now_ms())]


async def _one(db: "AsyncConnection", config: "Config", typed: str, ledger: Ledger) -> dict[str, Any]:
    from moderation.credit.overview import overview
    from moderation.values.ids import UserId
    from storage.queries import person_view

    now = now_ms()
    view = await person_view(db, UserId(await find_person(db, typed)), now_ms=now, recent_since=now)
    return overview(view, ledger, config.policy, now)
