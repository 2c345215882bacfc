"""`answerable logs`: read the records (`show`) and check them (`verify`).

`show` prints skeletons, which hold no name and no text. What people wrote is shown only with ``--reason``: then a
note of who, when, why and what was asked for is left in ``DATA/spool`` *before* anything is printed
(`storage/records/access.py`), and the bot makes an `access` record of it. Without a place for the note nothing
is shown. ``--json``: with a reason the lines as they stand, else the skeletons, one a line.

`verify` exits with 0 if nothing is wrong, 1 if something is, 2 if it was called wrongly. ``--json``: an object with
the keys `ok`, `records`, `first` (index of the first record kept), `signed`, `unsigned` (not signed yet), `root`
(base64), `problems` (objects with `code`, `file`, `line`, `index` and what else the code has), `more` (problems not
listed).

Rules this module keeps: it never writes to the records, so it is safe beside a running bot.
Left to others: what is checked (`storage/records/verify.py`).
"""

import base64
import datetime as dt
import getpass
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from moderation.durations import parse_duration
from moderation.errors import Invalid, Refused
from moderation.ids import is_group_code, is_room_id, is_user_id

from .lookup import now_ms
from .options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app
from .output import FAILED, say, tell, text

if TYPE_CHECKING:
    from storage.records.query import Query
    from storage.records.report import Problem, Progress, Report

POLL_SECONDS = 0.5

app = new_app("cli.logs.help")

DataDir = Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help=text("cli.logs.option.data_dir"))]


@app.callback(help=text("cli.logs.help"), epilog=text("cli.logs.epilog"))
def logs() -> None:
    """Holds the two commands."""


@app.command(help=text("cli.logs.show_help"), epilog=text("cli.logs.show_epilog"))
def show(
    room: Annotated[str | None, typer.Option("--room", "-r", metavar="ROOM", help=text("cli.logs.option.room"))] = None,
    person: Annotated[
        str | None, typer.Option("--person", "-p", metavar="MXID", help=text("cli.logs.option.person"))
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", metavar="KIND", help=text("cli.logs.option.kind"))
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help=text("cli.logs.option.since"))] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help=text("cli.logs.option.until"))] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, metavar="N", help=text("cli.logs.option.last"))] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help=text("cli.logs.option.follow"))] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help=text("cli.logs.option.reason"))] = None,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show records."""
    data = _data_dir(data_dir, config_file)
    now = now_ms()
    asked = {"room": room, "person": person, "kind": kind, "since": since, "until": until, "last": last}
    query = _query(data / "records", room, person, kind or [], _moment(since, now), _moment(until, now))
    if reason is not None:
        _leave_note(data, reason, now, {name: value for name, value in asked.items() if value is not None})
    shown = 0
    for raw in _lines(data / "records", query, last, follow=follow):
        _print(raw, content=reason is not None, json=json)
        shown += 1
    if not json:
        _say_what_is_missing(shown, content=reason is not None)


@app.command(help=text("cli.logs.verify_help"), epilog=text("cli.logs.verify_epilog"))
def verify(
    against: Annotated[Path | None, typer.Option(metavar="FILE", help=text("cli.logs.option.against"))] = None,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Check the records."""
    from storage.records.verify import verify as check

    folder = _data_dir(data_dir, config_file) / "records"
    kept = _read_kept(against) if against else None
    with _progress() as progress:
        report = check(folder, against=kept, progress=progress)
    if json:
        sys.stdout.write(orjson.dumps(_report_as_json(report), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _tell_report(report, against)
    raise typer.Exit(0 if report.ok else FAILED)


def _data_dir(data_dir: Path | None, config_file: Path) -> Path:
    """Where the deployment keeps its data. Raises `Invalid` if there are no records."""
    if data_dir is None:
        from ..config import load_config

        data_dir = load_config(config_file).data_dir
    if not (data_dir / "records").is_dir():
        raise Invalid(text("cli.logs.no_records", data_dir=data_dir))
    return data_dir


# show


def _query(
    folder: Path, room: str | None, person: str | None, kinds: list[str], since: int | None, until: int | None
) -> "Query":
    from storage.records.query import Query

    groups = frozenset({_group(folder, room)} if room else ())
    if person and not is_user_id(person):
        raise Invalid(text("cli.logs.bad_person", person=person))
    return Query(groups=groups, person=person or "", kinds=_kinds(kinds), since_ms=since, until_ms=until)


def _group(folder: Path, room: str) -> str:
    """The group code of what was typed: a code, or the id of a room the bot came to."""
    from storage.records.query import group_of_room

    if is_group_code(room.upper()):
        return room.upper()
    code = group_of_room(folder, room) if is_room_id(room) else None
    if code is None:
        raise Invalid(text("cli.logs.bad_room", room=room))
    return code


def _kinds(typed: list[str]) -> frozenset[str]:
    from storage.records.kinds import KINDS

    from .output import nearest

    for kind in typed:
        if kind not in KINDS:
            close = nearest(kind, {name: name for name in KINDS})
            kinds = ", ".join(sorted(KINDS))
            key = "cli.logs.bad_kind_near" if close else "cli.logs.bad_kind"
            raise Invalid(text(key, kind=kind, near=close or "", kinds=kinds))
    return frozenset(typed)


def _moment(typed: str | None, now: int) -> int | None:
    """A time as people type it: a date, a date and time (UTC unless it says otherwise), or how long ago."""
    if typed is None:
        return None
    try:
        return now - parse_duration(typed)
    except ValueError:
        pass
    try:
        when = dt.datetime.fromisoformat(typed)
        when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
        return max(0, int(when.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise Invalid(text("cli.logs.bad_time", typed=typed)) from None


def _leave_note(data: Path, reason: str, now: int, filters: Mapping[str, Any]) -> None:
    from storage.records.access import note_access

    if not reason.strip():
        raise Invalid(text("cli.logs.bad_reason"))
    try:
        note_access(data, at_ms=now, by=_user(), reason=reason, filters=filters)
    except OSError as error:
        raise Refused("cli.logs.no_note", why=error.strerror or str(error)) from error


def _user() -> str:
    """Who is at the terminal; behind `sudo`, who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())


def _lines(folder: Path, query: "Query", count: int, *, follow: bool) -> Iterator[bytes]:
    from storage.records import query as records
    from storage.records.line import open_line

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


def _print(raw: bytes, *, content: bool, json: bool) -> None:
    record = orjson.loads(raw)
    if json:
        line = raw.decode() if content else orjson.dumps({k: v for k, v in record.items() if k != "x"}).decode()
    else:
        line = "\n".join(_words(record, content=content))
    sys.stdout.write(line + "\n")


def _words(record: dict[str, Any], *, content: bool) -> Iterable[str]:
    """One line for the skeleton, one for each part."""
    fields = {k: v for k, v in record.items() if k not in ("i", "t", "k", "g", "p", "c", "x")}
    people = [] if content else record["p"]
    at = record["t"].replace("T", " ").removesuffix("Z")
    yield _tame("  ".join([f"{record['i']:>7}", at, record.get("g", "-" * 6), record["k"], *_pairs(fields), *people]))
    for part in record["x"] if content else ():
        yield " " * 9 + _part_words(part)


def _part_words(part: Any) -> str:
    if not isinstance(part, dict):
        return _tame(part)
    if "erased" in part:
        return text("cli.logs.erased", date=str(part["erased"]), by=str(part.get("by")))
    return "  ".join(_pairs({k: v for k, v in part.items() if k not in ("p", "s")}))


def _pairs(data: Mapping[str, Any]) -> list[str]:
    return [f"{_tame(name)}={_tame(value)}" for name, value in data.items()]


def _tame(value: object) -> str:
    """On one line, and without what would steer the terminal."""
    return text("cli.value", value=value if isinstance(value, str) else orjson.dumps(value).decode())


def _say_what_is_missing(shown: int, *, content: bool) -> None:
    if not shown:
        tell("cli.logs.none")
    elif not content:
        tell("cli.logs.skeletons_only")


# verify


def _read_kept(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(1_000_000).decode("utf-8", "replace")
    except OSError as error:
        raise Invalid(text("cli.logs.bad_against", file=file, why=error.strerror or str(error))) from error


@contextmanager
def _progress() -> "Iterator[Progress | None]":
    """A bar on stderr, if somebody is there to see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from .output import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(text("cli.logs.checking"), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell_report(report: "Report", against: Path | None) -> None:
    root = base64.b64encode(report.root).decode()
    unsigned = report.first + report.records - report.signed
    if report.first:
        say("cli.logs.purged", first=str(report.first))
    if report.ok:
        say("cli.logs.verify_ok", records=report.records, root=root)
        if unsigned > 0:
            say("cli.logs.unsigned", count=unsigned)
        if against:
            say("cli.logs.continues", file=against)
        return
    say("cli.logs.verify_bad", count=len(report.problems) + report.more)
    for problem in report.problems:
        say("cli.logs.problem_line", where=_where(problem), what=_what(problem))
    if report.more:
        say("cli.logs.more", count=report.more)


def _where(problem: "Problem") -> str:
    if problem.line:
        return text("cli.logs.where_line", file=problem.file, line=str(problem.line), index=str(problem.index))
    return text("cli.logs.where_file", file=problem.file)


def _what(problem: "Problem") -> str:
    """The problem in words; numbers of records are written as they stand in the log."""
    fields = {name: str(value) for name, value in problem.fields.items()}
    return text(problem.key, file=problem.file, index=str(problem.index), **fields)


def _report_as_json(report: "Report") -> dict[str, Any]:
    problems = [
        {"code": item.code, "file": item.file, "line": item.line, "index": item.index, **item.fields}
        for item in report.problems
    ]
    return {
        "ok": report.ok,
        "records": report.records,
        "first": report.first,
        "signed": report.signed,
        "unsigned": max(0, report.first + report.records - report.signed),
        "root": base64.b64encode(report.root).decode(),
        "problems": problems,
        "more": report.more,
    }
