"""Shared parts of the commands of `answerable logs`: which log, which records, and the note of who reads them.

Rules kept here:
- What was typed wrongly is answered with the right form.
- A person who gets to see what people wrote has said why. A note of it is on disk before anything is shown
  (`storage/journal/access.py`), and the bot makes an `access` record of it.

Left to others: what is done with the records (the file of each command).
"""

import datetime as dt
import getpass
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.terminal.options import read_config
from bot.cli.terminal.output import nearest, tell, text
from moderation.values.access_reasons import says_why
from moderation.values.errors import Invalid, Refused
from moderation.values.ids import is_group_code, is_room_id, is_user_id

if TYPE_CHECKING:
    from storage.database.place import DatabasePlace
    from storage.journal.query import Query

DataDir = Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help=text("cli.logs.option.data_dir"))]
Room = Annotated[str | None, typer.Option("--room", "-r", metavar="ROOM", help=text("cli.logs.option.room"))]
Person = Annotated[str | None, typer.Option("--person", "-p", metavar="MXID", help=text("cli.logs.option.person"))]
Kinds = Annotated[list[str] | None, typer.Option("--kind", "-k", metavar="KIND", help=text("cli.logs.option.kind"))]
Since = Annotated[str | None, typer.Option(metavar="TIME", help=text("cli.logs.option.since"))]
Until = Annotated[str | None, typer.Option(metavar="TIME", help=text("cli.logs.option.until"))]
Raw = Annotated[bool, typer.Option("--raw", help=text("cli.logs.option.raw"))]
Reason = Annotated[str, typer.Option(metavar="TEXT", help=text("cli.logs.option.reason"))]


def data_dir_of(data_dir: Path | None, config_file: Path) -> Path:
    """Return the deployment's data directory. Raises `Invalid` if there are no records."""
    return place_of(data_dir, config_file).data_dir


def place_of(data_dir: Path | None, config_file: Path) -> "DatabasePlace":
    """Return the place of the deployment's database; in a data directory that was named it is a file.

    Raises `Invalid` if there are no records.
    """
    from storage.database.place import DatabasePlace

    place = DatabasePlace(data_dir) if data_dir else read_config(config_file).place
    if not (place.data_dir / "records").is_dir():
        raise Invalid(text("cli.logs.no_records", data_dir=place.data_dir))
    return place


def query_of(
    folder: Path, room: str | None, person: str | None, kinds: Iterable[str], since: int | None, until: int | None
) -> "Query":
    """Return what was asked for, in the terms of the records. Raises `Invalid`."""
    from storage.journal.query import Query

    groups = frozenset({group_of(folder, room)} if room else ())
    user = person_of(person) if person else ""
    return Query(groups=groups, person=user, kinds=kinds_of(kinds), since_ms=since, until_ms=until)


def person_of(typed: str) -> str:
    """Return the typed Matrix id. Raises `Invalid` if it is not one."""
    if not is_user_id(typed):
        raise Invalid(text("cli.logs.bad_person", person=typed))
    return typed


def group_of(folder: Path, room: str) -> str:
    """Return the group code for a typed code, or for the id of a room the bot came to. Raises `Invalid`."""
    from storage.journal.query import group_of_room

    if is_group_code(room.upper()):
        return room.upper()
    code = group_of_room(folder, room) if is_room_id(room) else None
    if code is None:
        raise Invalid(text("cli.logs.bad_room", room=room))
    return code


def kinds_of(typed: Iterable[str]) -> frozenset[str]:
    """Return the kinds of records typed. Raises `Invalid`, naming the nearest kind."""
    from storage.journal.record_kinds.table import KINDS

    asked = frozenset(typed)
    for kind in sorted(asked - KINDS.keys()):
        close = nearest(kind, {name: name for name in KINDS})
        kinds = ", ".join(sorted(KINDS))
        key = "cli.logs.bad_kind_near" if close else "cli.logs.bad_kind"
        raise Invalid(text(key, kind=kind, near=close or "", kinds=kinds))
    return asked


def moment_of(typed: str | None, now: int) -> int | None:
    """Read a time as people type it: a date, a date and time (UTC unless it says otherwise), or how long ago.

    Returns milliseconds since 1970 UTC, None if nothing was typed. Raises `Invalid`.
    """
    if typed is None:
        return None
    lasts = _length(typed)
    return max(0, _date(typed)) if lasts is None else now - lasts


def end_of(typed: str, now: int) -> int:
    """Return a future time: a date, or how long from now. Raises `Invalid`."""
    lasts = _length(typed)
    return _date(typed) if lasts is None else now + lasts


def length_of(typed: str) -> int:
    """Read a length of time, in milliseconds. Raises `Invalid`."""
    if (lasts := _length(typed)) is None:
        raise Invalid(text("cli.logs.bad_length", typed=typed))
    return lasts


def _length(typed: str) -> int | None:
    from moderation.values.durations import parse_duration

    try:
        return parse_duration(typed)
    except ValueError:
        return None


def _date(typed: str) -> int:
    try:
        when = dt.datetime.fromisoformat(typed)
        return int((when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Invalid(text("cli.logs.bad_time", typed=typed)) from None


def given(**asked: Any) -> dict[str, Any]:
    """Return what was asked for, without what was left out; for the note."""
    return {name: value for name, value in asked.items() if value not in (None, [], False)}


def check_reason(reason: str) -> str:
    """Return the reason without spaces around it. Raises `Invalid` if it has no words in it."""
    if not says_why(reason):
        raise Invalid(text("cli.logs.bad_reason"))
    return reason.strip()


def leave_note(data: Path, reason: str, now: int, filters: Mapping[str, Any], name: str = "") -> Path:
    """Note who reads what and why. Raises `Refused` if the note cannot be kept; then nothing may be shown."""
    from storage.journal.access import note_access

    try:
        return note_access(data, at_ms=now, by=user(), reason=check_reason(reason), filters=filters, name=name)
    except OSError as error:
        raise Refused("cli.logs.no_note", why=error.strerror or str(error)) from error


def note_look(data: Path, what: str, now: int, **about: Any) -> None:
    """Note who looks at people's cases or credit, before they are shown. Raises `Refused` if that cannot be kept.

    A copy that nobody can write to is still shown, with a word that nobody will learn of it.
    """
    from storage.journal.access import note_access

    if not os.access(data, os.W_OK):
        tell("cli.read.not_noted", data_dir=data)
        return
    try:
        note_access(data, at_ms=now, by=user(), reason="", filters={"what": what, **given(**about)})
    except OSError as error:
        raise Refused("cli.read.no_note", why=error.strerror or str(error)) from error


def user() -> str:
    """Return the user at the terminal; behind `sudo`, the one who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())
