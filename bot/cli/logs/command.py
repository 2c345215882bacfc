"""`answerable logs`: read the records, check them, prove them, hand them over.

`show` prints a line of words a record; ``--raw`` prints skeletons. Names and what people wrote are shown only with
``--reason``. Then a note of who, when, why and what was asked for is left in ``DATA/spool`` *before* anything is
printed (`storage/journal/access.py`), and the bot makes an `access` record of it. If the note cannot be left, nothing
is shown.
``--json``: with a reason the lines as they stand, else the skeletons, one a line.

`verify` exits with 0 if nothing is wrong, 1 if something is, 2 if it was called wrongly. ``--json``: an object with the
keys `ok`, `records`, `first` (index of the first record kept), `signed`, `unsigned` (not signed yet), `root` (base64),
`problems` (objects with `code`, `file`, `line`, `index` and what else the code has), `more` (problems not listed);
with a joint checkpoint also `joint`: `day`, `root`, `signed` (of a root: whether a known key signed what the database
has), `stored` (same, other, none or unasked), `shards` (objects with `shard`,
`records` and `state`: verified, same, other, gone, purged, elsewhere, without or unnamed).

Rules kept here:
- It never writes to the records, so it is safe while the bot runs.

Left to others: what is checked (`storage/journal/verify/verify.py`), what the commands have in common
(`bot/cli/access/access_reason.py`), the other commands, one file each.
"""

import base64
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.access.access_reason import (
    DataDir,
    Kinds,
    Person,
    Raw,
    Room,
    Since,
    Until,
    given,
    leave_note,
    moment_of,
    place_of,
    query_of,
)
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from bot.cli.terminal.output import FAILED, as_json, say, tell, text
from bot.cli.terminal.progress import progress
from moderation.values.errors import Invalid

from .coverage import coverage
from .export import export
from .hold import app as hold_app
from .joint import is_root, joint_report, keys_of, note_of_root, tell_joint
from .line_format import print_record
from .proof import proof
from .purge import purge
from .rebuild import rebuild_db
from .search import search
from .words import wording_of

if TYPE_CHECKING:
    from bot.config.config import Config
    from storage.database.place import DatabasePlace
    from storage.journal.query import Query
    from storage.journal.report import Problem, VerifyReport
    from storage.journal.transparency.cosignature import Cosigner

    from .tables import TableDifference

POLL_SECONDS = 0.5
FENCE = "```"  # around the checkpoint in a message

app = new_app("cli.logs.help")


@app.callback(help=text("cli.logs.help"), epilog=text("cli.logs.epilog"))
def logs() -> None:
    """Hold the commands."""


@app.command(help=text("cli.logs.show_help"), epilog=text("cli.logs.show_epilog"))
def show(
    room: Room = None,
    person: Person = None,
    kind: Kinds = None,
    since: Since = None,
    until: Until = None,
    case: Annotated[
        int | None, typer.Option("--case", min=1, metavar="N", help=text("cli.logs.option.of_case"))
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, metavar="N", help=text("cli.logs.option.last"))] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help=text("cli.logs.option.follow"))] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help=text("cli.logs.option.reason"))] = None,
    raw: Raw = False,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show records."""
    place = place_of(data_dir, config_file)
    data = place.data_dir
    now = now_ms()
    query = query_of(data / "records", room, person, kind or [], moment_of(since, now), moment_of(until, now))
    query = replace(query, case=case or 0)
    if person is not None and reason is None:
        raise Invalid(text("cli.logs.person_reason"))
    if reason is not None:
        asked = given(room=room, person=person, kind=kind, since=since, until=until, case=case, last=last)
        leave_note(data, reason, now, asked)
    shown, content = 0, reason is not None
    wording = None if raw or json else wording_of(place, None if data_dir else config_file, now, content=content)
    for line in _lines(data / "records", query, last, follow=follow):
        print_record(line, wording, content=content, json=json)
        shown += 1
    if not json:
        _say_what_is_missing(shown, content=content)


@app.command(help=text("cli.logs.verify_help"), epilog=text("cli.logs.verify_epilog"))
def verify(
    against: Annotated[str | None, typer.Option(metavar="FILE|ROOT", help=text("cli.logs.option.against"))] = None,
    witness: Annotated[list[str] | None, typer.Option(metavar="VKEY", help=text("cli.logs.option.witness"))] = None,
    tables: Annotated[bool, typer.Option("--tables", help=text("cli.logs.option.tables"))] = False,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Check the records, and on demand the database against them."""
    from storage.journal.verify.signed import KeptCheckpoint
    from storage.journal.verify.verify import verify as check

    from .rebuild import read_old
    from .tables import differences

    place = place_of(data_dir, config_file)
    folder = place.data_dir / "records"
    config = None if data_dir else read_config(config_file)
    by_root = against is not None and is_root(against)
    note = _kept_note(place, against, by_root=by_root) if against else None
    kept = KeptCheckpoint(note, keys_of(place, config, note), by_root) if note is not None else None
    witnesses = _witnesses(witness or [], config)
    with progress() as bar:
        known = read_old(place, settled=False)  # read first, since a running bot goes on
        what = text("cli.logs.checking")
        report = check(folder, against=kept, progress=partial(bar, what), witnesses=witnesses)
        report = report.reaching(known.applied or 0)
        found = differences(place, bar) if tables and report.ok else []
    joint = joint_report(place, config, kept, report) if kept is not None else None
    if json:
        more = {"joint": joint.as_json()} if joint is not None else {}
        as_json({**report.as_json(), **({"tables": [asdict(each) for each in found]} if tables else {}), **more})
    else:
        _tell_report(report, against)
        if joint is not None:
            tell_joint(joint)
        if tables:
            _tell_tables(report.ok, found)
    raise typer.Exit(0 if report.ok and not found and (joint is None or joint.ok) else FAILED)


app.command("search", help=text("cli.logs.search_help"), epilog=text("cli.logs.search_epilog"))(search)
app.command("proof", help=text("cli.logs.proof_help"), epilog=text("cli.logs.proof_epilog"))(proof)
app.command("export", help=text("cli.logs.export_help"), epilog=text("cli.logs.export_epilog"))(export)
app.command("coverage", help=text("cli.logs.coverage_help"), epilog=text("cli.logs.coverage_epilog"))(coverage)
app.command("purge", help=text("cli.logs.purge.help"), epilog=text("cli.logs.purge.epilog"))(purge)
app.add_typer(hold_app, name="hold")
app.command("rebuild-db", help=text("cli.logs.rebuild_help"), epilog=text("cli.logs.rebuild_epilog"))(rebuild_db)


# show


def _lines(folder: Path, query: "Query", count: int, *, follow: bool) -> Iterator[bytes]:
    from storage.journal import query as records
    from storage.journal.line_format import open_line

    with progress():
        lines = records.last(folder, query, count)
    yield from lines
    if follow:
        seen = open_line(lines[-1]).skeleton["i"] if lines else -1
        assert isinstance(seen, int)
        for raw in records.follow(folder, query, seen):
            if raw is None:
                sys.stdout.flush()
                time.sleep(POLL_SECONDS)
            else:
                yield raw


def _say_what_is_missing(shown: int, *, content: bool) -> None:
    if not shown:
        tell("cli.logs.none")
    elif not content:
        tell("cli.logs.skeletons_only")


# verify


def _kept_note(place: "DatabasePlace", given_: str, *, by_root: bool) -> str:
    """Return the checkpoint in a file, or the joint one with the root that was given."""
    return note_of_root(place, given_) if by_root else read_kept(Path(given_))


def read_kept(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return _as_posted(opened.read(1_000_000).decode("utf-8", "replace"))
    except OSError as error:
        raise Invalid(text("cli.logs.bad_against", file=file, why=error.strerror or str(error))) from error


def _as_posted(copied: str) -> str:
    """Return the checkpoint in what was copied from a chat: perhaps the whole message, or without the last newline."""
    message = copied.replace("\r\n", "\n").split(FENCE)
    return message[1 if len(message) == 3 else 0].strip() + "\n"


def _witnesses(typed: list[str], config: "Config | None") -> "list[Cosigner]":
    """Return the keys that check cosignatures: those given, and that of the configuration if it is used."""
    from storage.journal.transparency.cosignature import Cosigner

    if config is not None:
        typed = [*typed, *config.anchors.witness_vkey]
    try:
        return [Cosigner.parse(each) for each in typed]
    except Invalid as error:
        raise Invalid(text("cli.logs.bad_witness", why=error)) from error


def _tell_report(report: "VerifyReport", against: str | None) -> None:
    root = base64.b64encode(report.root).decode()
    if report.first:
        say("cli.logs.purged", first=str(report.first))
    if report.ok:
        say("cli.logs.verify_ok", records=report.records, root=root)
        if report.unsigned:
            say("cli.logs.unsigned", count=report.unsigned)
        if against:
            say("cli.logs.continues", file=against)
        return
    say("cli.logs.verify_bad", count=len(report.problems) + report.more)
    for problem in report.problems:
        say("cli.logs.problem_line", where=_where(problem), what=_what(problem))
    if report.more:
        say("cli.logs.more", count=report.more)


def _tell_tables(is_sound: bool, found: "list[TableDifference]") -> None:
    """Tell how the database differs from the records; from damaged records no tables can be made."""
    from .tables import MOST

    if not is_sound:
        say("cli.logs.tables_not_compared")
        return
    if not found:
        say("cli.logs.tables_ok")
        return
    say("cli.logs.tables_bad", count=len(found))
    for each in found[:MOST]:
        say(f"cli.logs.differs.{'stored' if each.is_stored else 'missing'}", table=each.table, row=each.row)
    if len(found) > MOST:
        say("cli.logs.more", count=len(found) - MOST)


def _where(problem: "Problem") -> str:
    if problem.line:
        return text("cli.logs.where_line", file=problem.file, line=str(problem.line), index=str(problem.index))
    return text("cli.logs.where_file", file=problem.file)


def _what(problem: "Problem") -> str:
    """Return the problem in words; numbers of records are written as they stand in the log."""
    fields = {name: str(value) for name, value in problem.fields.items()}
    return text(problem.key, file=problem.file, index=str(problem.index), **fields)
