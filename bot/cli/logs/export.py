"""`answerable logs export`: hand records over, so that a stranger can read and check them.

As it hands over what people wrote, ``--reason`` is needed. Who, when, why, what was asked for, and which records and
files are in it is recorded before the file is finished: by the bot if it runs, else here. That record lies in the file,
so that its reader sees whether anything was left out. With ``--unsigned``, as for a copy of the data, the export is
made without that record and says so, and a note is left for the bot to record. Exit code 1: the export was made, but
the log itself is damaged, and the damage is told. ``--json``: an object with the keys `file`, `sha256`, `records`,
`supporting`, `withheld`, `erased`, `size`, `media`, `record` (of the log, about it; null: none) and `problems` (texts).

Left to others: making it (`storage/export`), recording it (`bot/admin/exports.py`), opening files that are kept
encrypted.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.access.access_reason import (
    DataDir,
    Kinds,
    Reason,
    Since,
    Until,
    check_reason,
    data_dir_of,
    given,
    group_of,
    kinds_of,
    leave_note,
    moment_of,
    person_of,
    user,
)
from bot.cli.access.admin_client import perform
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, read_config
from bot.cli.terminal.output import FAILED, as_json, say, text, why_of
from bot.cli.terminal.progress import Bar, progress
from bot.texts.catalog import LANGUAGES, cli_language
from bot.texts.catalog_words import CatalogWords
from moderation.values.errors import AnswerableError, Refused

if TYPE_CHECKING:
    from bot.config.config import Config
    from storage.export.contents import Contents
    from storage.export.export import ExportRequest, Summary

Rooms = Annotated[list[str] | None, typer.Option("--room", "-r", metavar="ROOM", help=text("cli.logs.option.rooms"))]
Persons = Annotated[
    list[str] | None, typer.Option("--person", "-p", metavar="MXID", help=text("cli.logs.option.persons"))
]
Cases = Annotated[list[int] | None, typer.Option("--case", "-n", min=1, metavar="N", help=text("cli.logs.option.case"))]


def export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help=text("cli.logs.option.zip"))],
    reason: Reason,
    room: Rooms = None,
    person: Persons = None,
    case: Cases = None,
    kind: Kinds = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all-parts", help=text("cli.logs.option.all_parts"))] = False,
    lang: Annotated[str | None, typer.Option(metavar="LANG", help=text("cli.logs.option.lang"))] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help=text("cli.logs.option.unsigned"))] = False,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Export records."""
    from storage.export.export import ExportRequest
    from storage.export.export import export as make
    from storage.export.media import kept_files
    from storage.export.selection import Selection
    from storage.journal.access import new_name

    data, now = data_dir_of(data_dir, config_file), now_ms()
    selection = Selection(
        groups=frozenset(group_of(data / "records", typed) for typed in room or ()),
        persons=frozenset(map(person_of, person or ())),
        cases=frozenset(case or ()),
        kinds=kinds_of(kind or ()),
        since_ms=moment_of(since, now),
        until_ms=moment_of(until, now),
        everything=everything,
    )
    asked = given(
        what="export", file=out.name, room=room, person=person, case=case, kind=kind, since=since, until=until,
        all_parts=everything,
    )  # fmt: skip
    request = ExportRequest(selection, now, user(), check_reason(reason), id=new_name())
    recording = None if unsigned else _Recording(_config_of(config_file, data), request, asked)

    def announce(sha256: str, count: int) -> None:
        if recording is None:
            leave_note(data, reason, now, {**asked, "records": count, "sha256": sha256})

    try:
        with progress() as bar:
            summary = make(
                data / "records", out, request, CatalogWords(language_of(lang)), media=kept_files(data),
                record=recording.record if recording else None, announce=announce, progress=stages(bar),
            )  # fmt: skip
    except OSError as error:
        raise Refused("cli.logs.out_failed", file=out, why=error.strerror or str(error)) from error
    if json:
        as_json({"file": str(out), **asdict(summary)})
    else:
        _tell(summary, out)
    raise typer.Exit(FAILED if summary.problems else 0)


def _config_of(config_file: Path, data: Path) -> "Config":
    """Return the configuration of the log in `data`. Raises `Refused` if the given one is of another log."""
    try:
        config = read_config(config_file)
    except AnswerableError as error:
        raise Refused("cli.logs.export_unrecorded", why=error) from error
    if config.data_dir.resolve() != data.resolve():
        raise Refused("cli.logs.export_elsewhere", data_dir=data, config=config_file)
    return config


@dataclass(frozen=True, slots=True)
class _Recording:
    """The recording of an export in the log."""

    config: "Config"
    request: "ExportRequest"
    asked: Mapping[str, Any]

    def record(self, contents: "Contents") -> int:
        """Leave a note and have it recorded and signed. Raises `Refused`; then no note is left."""
        what = {"records": contents.count, "listed": contents.records, "contents": contents.files}
        made = self.request
        note = leave_note(self.config.data_dir, made.reason, made.made_at_ms, {**self.asked, **what}, name=made.id)
        try:
            return int(perform(self.config, "export-record", note=made.id)["record"])
        except (AnswerableError, OSError) as error:
            note.unlink(missing_ok=True)
            raise Refused("cli.logs.export_unrecorded", why=why_of(error)) from error


def language_of(asked: str | None) -> str:
    """Return the language of the page: the one asked for, or the terminal's."""
    if asked is not None and asked not in LANGUAGES:
        raise typer.BadParameter(text("cli.logs.bad_lang", languages=", ".join(LANGUAGES)), param_hint="--lang")
    return asked or cli_language()


def stages(bar: Bar) -> Callable[[str, int, int], None]:
    """Return how the stages of an export are told."""
    labels = {stage: text(f"cli.logs.exporting.{stage}") for stage in ("choose", "write", "check")}
    return lambda stage, done, total: bar(labels[stage], done, total)


def _tell(summary: "Summary", out: Path) -> None:
    say("cli.logs.exported", file=out, records=summary.records, supporting=summary.supporting)
    if summary.withheld:
        say("cli.logs.exported_withheld", count=summary.withheld)
    say("cli.logs.exported_sum", sha256=summary.sha256)
    if summary.record is None:
        say("cli.logs.exported_unsigned")
    else:
        say("cli.logs.exported_recorded", record=str(summary.record))
    if summary.problems:
        say("cli.logs.export_damaged", count=len(summary.problems))
        for problem in summary.problems:
            say("cli.logs.export_problem", what=problem)
