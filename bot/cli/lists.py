"""`answerable lists`: the policy lists that are watched, what they say, and whom of our people one would touch.

``--json``: a list of objects with the keys `list`, `room` (of the list), `trust`, `reach`, `group` (the code of the
room for which it was chosen in chat; "": in the configuration), `by` and `since` (who chose it, and when), `entries`,
`checked` (when it was last read), `cases`, `open_cases`. ``match --json`` and ``search --json``: a list of objects with
`list`, `kind`, `entity`, `advice`, `reason`, `by`, `at`. ``preview --json``: an object with `list`, `room`, `digest`
(SHA-256 of the entries, as in the records of kind `list`), `entries`, `kinds` (count by kind), `authors` (objects with
`by`, `entries`, `at`), `widest` (objects with `entity`, `people`), `people` (objects with `person`, `room`, `fate`).
"""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Refused
from moderation.values.notices import Code, Moment

from .access.access_reason import note_look, person_of
from .access.lookup import now_ms, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, PersonArgument, Wide, new_app, read_config
from .terminal.output import Cells, as_json, say, text, worded
from .terminal.tables import Look, list_rows, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config
    from moderation.lists.book import ListedEntry
    from moderation.lists.entries import PolicyList

MOST_SHOWN = 10  # authors and patterns in a table; ``--json`` has all
_FATES = ("apply", "propose", "look", "spared", "server", "exempt")
_ENTRIES = ("list", "entity", "advice", "reason", "by", "at")
_SHOW: Cells = {
    "trust": worded("list_trust"),
    "advice": worded("list_advice"),
    "checked": lambda at: Moment(at) if at else "",
}

app = new_app("cli.lists.help")


@app.callback(invoke_without_command=True, help=text("cli.lists.help"), epilog=text("cli.lists.epilog"))
def lists(
    context: typer.Context, config_file: ConfigFile = DEFAULT_CONFIG, json: AsJson = False, wide: Wide = False
) -> None:
    """List the policy lists that are watched."""
    if context.invoked_subcommand is not None:
        return
    config = read_config(config_file)
    columns = ("list", "trust", "group", "entries", "checked", "cases", "open_cases", "room")
    list_rows(read(config, _watched), columns, _SHOW, json=json, none="cli.lists.none", look=Look(wide, config.server))


@app.command(help=text("cli.lists.match_help"))
def match(
    person: PersonArgument, json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Show the entries that mean somebody."""
    from moderation.lists.book import Book
    from moderation.values.ids import UserId

    user, config = UserId(person_of(person)), read_config(config_file)
    found = [_entry(each) for each in Book(read(config, _all_lists)).match(user)]
    note_look(config.data_dir, "lists", now_ms(), person=user)
    list_rows(found, _ENTRIES, _SHOW, json=json, none="cli.lists.unnamed", look=Look(wide, config.server))


@app.command(help=text("cli.lists.search_help"))
def search(
    word: Annotated[str, typer.Argument(metavar="WORD", help=text("cli.lists.word"))],
    json: AsJson = False,
    wide: Wide = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show the entries with a word in them."""
    from moderation.lists.book import entries_with

    config = read_config(config_file)
    found = [_entry(each) for each in entries_with(word, read(config, _all_lists))]
    list_rows(found, _ENTRIES, _SHOW, json=json, none="cli.lists.unfound", look=Look(wide, config.server))


@app.command(help=text("cli.lists.preview_help"), epilog=text("cli.lists.preview_epilog"))
def preview(
    name: Annotated[str, typer.Argument(metavar="NAME_OR_ROOM", help=text("cli.lists.name"))],
    json: AsJson = False,
    wide: Wide = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show whom of our people a list would touch if it were applied."""
    config = read_config(config_file)
    found = read(config, _preview, config, name)
    if json and (named := list(dict.fromkeys(each["person"] for each in found["people"]))):
        note_look(config.data_dir, "lists", now_ms(), person=named)
    if json:
        as_json(found)
    else:
        _print(found, config.policy.lists.act_at_most, Look(wide, config.server))


def _print(found: dict[str, Any], at_most: int, look: Look) -> None:
    kinds = Counter(found["kinds"])
    say(
        "cli.lists.head",
        list=found["list"],
        room=Code(found["room"]),
        user=kinds["user"],
        server=kinds["server"],
        room_entries=kinds["room"],
        digest=found["digest"],
    )
    if found["authors"]:
        table_of(found["authors"][:MOST_SHOWN], ("by", "entries", "at"), look=look)
    if found["widest"]:
        say("cli.lists.widest")
        table_of(found["widest"][:MOST_SHOWN], ("entity", "people"), look=look)
    if not found["people"]:
        say("cli.lists.touches_nobody")
        return
    say("cli.lists.touches", count=len({each["person"] for each in found["people"]}))
    rooms = Counter((each["room"], each["fate"]) for each in found["people"])
    rows = [
        {"room": room, **{f"list_{fate}": rooms[room, fate] for fate in _FATES}}
        for room in dict.fromkeys(room for room, _ in rooms)
    ]
    table_of(rows, ("room", *(f"list_{fate}" for fate in _FATES)), look=look)
    if len({each["person"] for each in found["people"] if each["fate"] == "apply"}) > at_most:
        say("cli.lists.too_many", limit=at_most)


def _entry(listed: "ListedEntry") -> dict[str, Any]:
    entry = listed.entry
    return {
        "list": listed.list,
        "kind": entry.kind,
        "entity": entry.shown,
        "advice": entry.advice,
        "reason": entry.reason,
        "by": entry.sender,
        "at": entry.at_ms,
    }


async def _watched(db: "AsyncConnection") -> list[dict[str, Any]]:
    from storage import queries

    figures, codes = await queries.list_figures(db), await queries.all_rooms(db)
    return [
        {
            "list": each.list,
            "room": each.list_room,
            "trust": each.trust,
            "reach": each.reach,
            "group": codes.get(each.room, "") if each.room else "",
            "by": each.by,
            "since": each.since,
            "entries": figures[each.list].entries,
            "checked": figures[each.list].read,
            "cases": figures[each.list].cases,
            "open_cases": figures[each.list].waiting,
        }
        for each in await queries.chosen_lists(db)
    ]


async def _all_lists(db: "AsyncConnection") -> "list[PolicyList]":
    from moderation.lists.entries import PolicyList
    from storage import queries

    entries = await queries.list_entries(db)
    return [
        PolicyList(each.list, each.list_room, entries.get(each.list_room, ()))
        for each in await queries.chosen_lists(db)
    ]


async def _preview(db: "AsyncConnection", config: "Config", typed: str) -> dict[str, Any]:
    """Return what a list says and whom it would touch if it were applied."""
    from dataclasses import replace

    from bot.pipeline.list_preview import people_touched
    from bot.pipeline.view_cache import ViewCache
    from moderation.lists.preview import authors_of, kinds_of, widest_of
    from moderation.values.ids import UserId
    from storage import queries
    from storage.state.list_entries import digest_of

    named = {each.name: each.room for each in config.lists.watch}
    chosen = [
        each
        for each in await queries.chosen_lists(db)
        if typed in (each.list, each.list_room, named.get(each.list, each.list))
    ]
    if not chosen:
        raise Refused("cli.lists.unknown", typed=Code(typed))
    watch = replace(chosen[0].watch(config.policy.lists), trust="apply")
    entries = (await queries.list_entries(db)).get(watch.room, ())
    knowledge = ViewCache(UserId(config.user), incident_ms=0, window_ms=0)
    await knowledge.begin(db)
    people = await people_touched(db, knowledge, watch, entries, config.policy, now_ms())
    return {
        "list": watch.name,
        "room": watch.room,
        "digest": digest_of(entries),
        "entries": len(entries),
        "kinds": kinds_of(entries),
        "authors": [asdict(each) for each in authors_of(entries)],
        "widest": [{"entity": entity, "people": count} for entity, count in widest_of(people)],
        "people": [{"person": each.user, "room": each.room, "fate": each.fate} for each in people],
    }
