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

from moderation.values.notices import Moment

from .access.access_reason import Reason, check_reason
from .access.admin_client import perform
from .terminal.ask import make_sure
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from .terminal.output import FAILED, Cells, as_json, say, say_done, tell, text, word
from .terminal.tables import Look, table_of

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
    config = read_config(config_file)
    asked = {"file": str(file.absolute()), "remove_gone": remove_gone}
    found = perform(config, "roster-import", **asked, dry_run=True)
    if not json:
        _preview(found, remove_gone=remove_gone)
    if not dry_run and _changes(found, remove_gone=remove_gone):
        make_sure("cli.roster.sure", yes=yes, left="cli.roster.left")
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
    wide: Wide = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """List the people on it."""
    from bot.admin.roster_csv import harmless

    found = perform(read_config(config_file), "roster-list", limit=limit, reason=check_reason(reason))
    if json:
        as_json(found)
        return
    if found["shown"]:
        columns = ("identifier", "name", "email", "level", "expires", "code_until", "used")
        show: Cells = {**dict.fromkeys(columns[:3], harmless), "level": lambda level: str(level or "")}
        table_of(found["shown"], columns, show, Look(wide))
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
    asked = {"out": str(out.absolute()), "only": only or [], "days": days}
    done = perform(read_config(config_file), "roster-codes", **asked)
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
    asked = {"identifier": identifier, "reason": check_reason(reason)}
    done = perform(read_config(config_file), "roster-remove", **asked)
    say_done(done, "cli.roster.removed", json=json, count=done["revoked"])


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
