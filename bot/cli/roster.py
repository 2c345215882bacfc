"""`answerable roster`: the list of people known to belong, so that they can prove it with a one-time code.

``import --json``: `counts` (`new`, `changed`, `gone`, `same`, `wrong`), `shown` (identifiers of the first of each),
`wrong` (objects with `line`, `why`, `other`, the other line of a duplicate). ``list --json``: `entries` and `used`
(numbers), `shown` (objects with `identifier`, `name`, `email`, `level`, `expires`, `code_until`, `used`). ``codes
--json``: `codes` (a number), `until`, `file`. ``remove --json``: `revoked` (a number).

Left to others: what is done (`bot/admin/roster.py`), the form of the file (`bot/admin/roster_csv.py`).
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from moderation.values.errors import Refused
from moderation.values.notices import Moment

from .access.access_reason import Reason, check_reason
from .console.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app
from .console.output import FAILED, as_json, say, table, tell, text, word

app = new_app("cli.roster.help")

DryRun = Annotated[bool, typer.Option("--dry-run", help=text("cli.roster.dry_run"))]
Yes = Annotated[bool, typer.Option("--yes", help=text("cli.roster.yes"))]


@app.command("import", help=text("cli.roster.import_help"), epilog=text("cli.roster.import_epilog"))
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv")],
    dry_run: DryRun = False,
    remove_gone: Annotated[bool, typer.Option("--remove-gone", help=text("cli.roster.remove_gone"))] = False,
    yes: Yes = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Import a list."""
    from bot.config.config import load_config

    from .access.admin_client import perform

    config = load_config(config_file)
    asked = {"file": str(file.absolute()), "remove_gone": remove_gone}
    found = perform(config, "roster-import", **asked, dry_run=True)
    if not json:
        _preview(found, remove_gone=remove_gone)
    if not dry_run and _changes(found, remove_gone=remove_gone):
        if not yes and not typer.confirm(text("cli.roster.sure"), err=True):
            raise Refused("cli.roster.left")
        found = perform(config, "roster-import", **asked)
        if not json:
            say("cli.roster.imported", new=found["counts"]["new"], changed=found["counts"]["changed"])
    if json:
        as_json(found)
    if found["counts"]["wrong"]:
        raise typer.Exit(FAILED)


@app.command("list", help=text("cli.roster.list_help"))
def list_(
    reason: Reason,
    limit: Annotated[int, typer.Option(min=0, max=1_000, help=text("cli.roster.limit"))] = 100,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """List the people on it."""
    from bot.config.config import load_config

    from .access.admin_client import perform

    found = perform(load_config(config_file), "roster-list", limit=limit, reason=check_reason(reason))
    if json:
        as_json(found)
        return
    if found["shown"]:
        columns = ("identifier", "name", "email", "level", "expires", "code_until", "used")
        table(columns, ([_cell(row, column) for column in columns] for row in found["shown"]))
    say("cli.roster.listed", entries=found["entries"], used=found["used"], shown=len(found["shown"]))


@app.command(help=text("cli.roster.codes_help"), epilog=text("cli.roster.codes_epilog"))
def codes(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.csv", help=text("cli.roster.out"))],
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ID", help=text("cli.roster.only"))] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help=text("cli.roster.days"))] = 30,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Write one-time codes."""
    from bot.config.config import load_config

    from .access.admin_client import perform

    asked = {"out": str(out.absolute()), "only": only or [], "days": days}
    done = perform(load_config(config_file), "roster-codes", **asked)
    if json:
        as_json(done)
    elif done["codes"]:
        say("cli.roster.written", count=done["codes"], file=done["file"], until=Moment(done["until"]))
    else:
        say("cli.roster.no_codes")


@app.command(help=text("cli.roster.remove_help"))
def remove(
    identifier: Annotated[str, typer.Argument(metavar="ID")],
    reason: Reason,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Take a person off it."""
    from bot.config.config import load_config

    from .access.admin_client import perform

    asked = {"identifier": identifier, "reason": check_reason(reason)}
    done = perform(load_config(config_file), "roster-remove", **asked)
    if json:
        as_json(done)
    else:
        say("cli.roster.removed", count=done["revoked"])


def _changes(found: dict[str, Any], *, remove_gone: bool) -> bool:
    counts = found["counts"]
    return bool(counts["new"] or counts["changed"] or (remove_gone and counts["gone"]))


def _preview(found: dict[str, Any], *, remove_gone: bool) -> None:
    """Show what would change, and what is wrong; details on stderr."""
    from bot.admin.roster_csv import harmless

    counts = found["counts"]
    say("cli.roster.counts", **{name: counts[name] for name in ("new", "changed", "gone", "same", "wrong")})
    for name in ("new", "changed", "gone"):
        if found["shown"][name]:
            names = ", ".join(harmless(each) for each in found["shown"][name])
            tell(f"cli.roster.shown.{name}", names=names, count=counts[name])
    if counts["gone"] and not remove_gone:
        tell("cli.roster.gone_stays")
    for each in found["wrong"]:
        tell("cli.roster.wrong_line", line=str(each["line"]), why=_why(each))
    if counts["wrong"] > len(found["wrong"]):
        tell("cli.roster.wrong_more", count=counts["wrong"] - len(found["wrong"]))


def _why(each: dict[str, Any]) -> str:
    if each["why"] == "twice":
        return text("cli.roster.twice", other=str(each["other"]))
    return word("roster.wrong", each["why"])


def _cell(row: dict[str, Any], column: str) -> object:
    from bot.admin.roster_csv import harmless

    match column:
        case "expires" | "code_until" | "used":
            return Moment(row[column]) if row[column] else ""
        case "level":
            return str(row["level"] or "")
        case _:
            return harmless(row[column])
