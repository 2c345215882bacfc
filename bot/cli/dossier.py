"""`answerable dossier`: files on serious and continuing offenders, prepared and exported by people.

Rules kept here:
- A file is written to the disk and nowhere else.
- It appears only after two different people have approved it in its present form, each with a key of their own (or by a
  command from their own account: `bot/commands/approve.py`), and its leaving is recorded.

``--json``: `new`: `dossier`, `person`, `cases`, `task`; `approve`: `dossier`, `approved_by` (accounts), `needed`,
`digest`; `decline`: `dossier`, `task`; `export`: what `logs export` says, and `dossier`, `told`; `list` and `show`:
objects with `dossier`, `person`, `cases`, `state` (open, approved, declined, exported), `at`, `by`, `reason`, `task`,
`approved_by`, and in `show` also `digest` (what must be approved) and `steps` (`step`, `at`, `by`, `reason`, `bar`,
`sha256`, `how`: of an approval: key, account, or user as older versions had it).

Left to others: what is recorded (`bot/admin/dossiers.py`), what is in it (`storage/export`).
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.texts.catalog_words import CatalogWords
from moderation.values.errors import Invalid, Refused
from moderation.values.notices import Who

from .access.access_reason import Reason, check_reason, person_of, user
from .access.admin_client import perform
from .access.lookup import now_ms, read
from .approver import ApproverKey, PassphraseStdin, passphrase
from .logs.export import language_of, stages
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, PersonArgument, Wide, new_app, read_config
from .terminal.output import FAILED, Cells, as_json, say, say_done, tell, text, word, worded
from .terminal.progress import progress
from .terminal.tables import Look, list_rows, sheet_of, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config
    from storage.export.contents import Contents, Recorder
    from storage.export.dossier import File
    from storage.export.export import Summary
    from storage.queries import Dossier

app = new_app("cli.dossier.help")

Number = Annotated[int, typer.Argument(metavar="ID", min=0, help=text("cli.dossier.id"))]

_SHOW: Cells = {
    "cases": lambda cases: ", ".join(map(str, cases)),
    "approved_by": ", ".join,
    "state": worded("dossier_step"),
    "step": worded("dossier_step"),
    "how": lambda how: word("dossier_how", how) if how else "",
}


@app.command("list", help=text("cli.dossier.list_help"))
def list_(json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """List all files."""
    from storage import queries

    config = read_config(config_file)
    found = [each.as_json() for each in read(config, queries.all_dossiers)]
    columns = ("dossier", "person", "cases", "state", "at", "approved_by")
    list_rows(found, columns, _SHOW, json=json, none="cli.dossier.none", look=Look(wide, config.server))


@app.command(help=text("cli.dossier.new_help"), epilog=text("cli.dossier.new_epilog"))
def new(
    person: PersonArgument,
    reason: Reason,
    case: Annotated[list[int] | None, typer.Option("--case", "-n", min=1, help=text("cli.dossier.case"))] = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Begin a file."""
    done = _perform(config_file, "dossier-new", person=person_of(person), cases=case or [], reason=reason)
    cases = ", ".join(map(str, done["cases"]))
    say_done(done, "cli.dossier.begun", json=json, n=str(done["dossier"]), who=Who(done["person"]), cases=cases)


@app.command(help=text("cli.dossier.show_help"))
def show(number: Number, json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Show one file."""
    config = read_config(config_file)
    found = read(config, _find, number)
    digest = perform(config, "dossier-digest", dossier=number)["digest"]
    row = {**found.as_json(), "digest": digest, "steps": found.steps_as_json()}
    if json:
        as_json(row)
        return
    shown = ("dossier", "person", "cases", "state", "at", "by", "reason", "digest")
    sheet_of(row, shown, _SHOW)
    if row["steps"]:
        table_of(row["steps"], ("step", "at", "by", "how", "reason", "bar", "sha256"), _SHOW, Look(wide, config.server))
    if found.state != "declined":
        say("cli.dossier.how_to_approve", n=str(number), digest=digest)


@app.command(help=text("cli.dossier.approve_help"), epilog=text("cli.dossier.approve_epilog"))
def approve(
    number: Number,
    key: Annotated[Path, typer.Option("--key", "-k", metavar="FILE", help=text("cli.dossier.key"))],
    reason: Reason,
    passphrase_stdin: PassphraseStdin = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Sign that the file may leave."""
    asked = perform(read_config(config_file), "dossier-digest", dossier=number)
    tell("cli.dossier.signing", n=str(number), digest=asked["digest"])
    signed = ApproverKey.read(key, passphrase(stdin=passphrase_stdin)).sign(asked["to_sign"])
    done = _perform(config_file, "dossier-approve", dossier=number, reason=reason, **signed)
    lacking = done["needed"] - len(done["approved_by"])
    key_of_text = "cli.dossier.approved" if lacking <= 0 else "cli.dossier.approved_first"
    say_done(done, key_of_text, json=json, n=str(number), by=", ".join(done["approved_by"]))


@app.command(help=text("cli.dossier.decline_help"))
def decline(number: Number, reason: Reason, json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Decline a file, with a reason."""
    done = _perform(config_file, "dossier-decline", dossier=number, reason=reason)
    say_done(done, "cli.dossier.declined", json=json)


@app.command(help=text("cli.dossier.export_help"), epilog=text("cli.dossier.export_epilog"))
def export(
    number: Number,
    to: Annotated[Path, typer.Option("--to", "-o", metavar="FILE", help=text("cli.logs.option.zip"))],
    reason: Reason,
    bar: Annotated[str | None, typer.Option(metavar="TEXT", help=text("cli.dossier.bar"))] = None,
    lang: Annotated[str | None, typer.Option(metavar="LANG", help=text("cli.logs.option.lang"))] = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Write a file to the disk."""
    if bar is not None and not bar.strip():
        raise Invalid(text("cli.dossier.bad_bar"))
    if to.exists():
        raise Refused("export.exists", out=to)
    ready = _perform(config_file, "dossier-prepare", dossier=number, reason=reason)
    told: list[bool] = []

    def record(contents: "Contents") -> int:
        recorded = _perform(config_file, "dossier-leaving", reason=reason, dossier=number, **asdict(contents))
        return int(recorded["record"])

    def announce(sha256: str, _count: int) -> None:
        said = {"sha256": sha256, "bar": (bar or "").strip()}
        told.append(_perform(config_file, "dossier-exported", reason=reason, dossier=number, **said)["told"])

    summary = _make(read_config(config_file), number, ready, to, reason.strip(), language_of(lang), record, announce)
    if json:
        as_json({"file": str(to), "dossier": number, "told": told[0], **asdict(summary)})
    else:
        _say_exported(summary, to, told=told[0], barred=bar is not None)
    raise typer.Exit(FAILED if summary.problems else 0)


def _make(
    config: "Config",
    number: int,
    ready: dict[str, Any],
    to: Path,
    reason: str,
    language: str,
    record: "Recorder",
    announce: Callable[[str, int], None],
) -> "Summary":
    from storage.export.approved import NAME as APPROVED
    from storage.export.dossier import NAME, statement
    from storage.export.export import ExportRequest
    from storage.export.export import export as make
    from storage.export.media import kept_files
    from storage.export.selection import Selection
    from storage.journal.access import new_name

    data, words, now = config.data_dir, CatalogWords(language), now_ms()
    file, bare = read(config, _gather, config, number, ready["digest"], language, reason, now)
    selection = Selection(
        persons=frozenset(ready["accounts"]),
        cases=frozenset(ready["cases"]),
        bare=bare,
        also=frozenset((*ready["also"], *ready["whole"])),
        whole=frozenset(ready["whole"]),
    )
    foreword = words.text("dossier.readme", n=str(number), file=NAME)
    more = {NAME: statement(words, file), APPROVED: ready["approved"].encode()}
    request = ExportRequest(selection, now, user(), reason, foreword, more, id=new_name())
    try:
        with progress() as bar:
            return make(
                data / "records", to, request, words, media=kept_files(data), record=record, announce=announce,
                progress=stages(bar),
            )  # fmt: skip
    except OSError as error:
        raise Refused("cli.logs.out_failed", file=to, why=error.strerror or str(error)) from error


async def _gather(
    db: "AsyncConnection", config: "Config", number: int, digest: str, language: str, reason: str, now: int
) -> "tuple[File, frozenset[int]]":
    """Return the content of the statement, and the records that would name others."""
    from bot.admin.dossier_text import Gatherer, naming_others
    from bot.texts.catalog import Catalog
    from bot.texts.matrix_message import Speech

    speech = Speech(Catalog.load(), config.policy, language)
    found = await _find(db, number)
    file = await Gatherer(db, speech, language).file(found, digest, by=user(), reason=reason, now_ms=now)
    return file, await naming_others(db, found.cases)


def _say_exported(summary: "Summary", to: Path, *, told: bool, barred: bool) -> None:
    say("cli.logs.exported", file=to, records=summary.records, supporting=summary.supporting)
    say("cli.logs.exported_sum", sha256=summary.sha256)
    if told:
        say("cli.dossier.told")
    else:
        say("cli.dossier.not_told_barred" if barred else "cli.dossier.not_told")
    for problem in summary.problems:
        say("cli.logs.export_problem", what=problem)


def _perform(config_file: Path, do: str, *, reason: str, **arguments: Any) -> dict[str, Any]:
    return perform(read_config(config_file), do, reason=check_reason(reason), reader=user(), **arguments)


async def _find(db: "AsyncConnection", number: int) -> "Dossier":
    from storage import queries

    found = await queries.dossier_view(db, number)
    if found is None:
        raise Refused("cli.dossier.unknown", n=number)
    return found
