"""`answerable rooms rectify|suspend|close|reopen|leave ROOM`: measures against a room, and leaving it, by an operator.

``--json``: `room` (code), `case` (null when a measure is lifted), `until` (0: no end; null when lifted), `ended` (the
kinds that end by it).
Left to others: what is written (`bot/admin/rooms.py`), the list of rooms (`command.py`).
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.access.access_reason import Reason, check_reason, user
from bot.cli.access.lookup import find_room, read
from bot.cli.access.operator import AS, HELP, operator_of
from bot.cli.console.options import DEFAULT_CONFIG, AsJson, ConfigFile
from bot.cli.console.output import as_json, say, text
from moderation.values.durations import parse_duration
from moderation.values.errors import Invalid
from moderation.values.notices import Moment

Room = Annotated[str, typer.Argument(metavar="ROOM", help=text("cli.option.room"))]
For = Annotated[str | None, typer.Option("--for", metavar="7d", help=text("cli.rooms.for"))]
As = Annotated[str | None, typer.Option(AS, metavar="@OP:SERVER", help=HELP)]


def rectify(
    room: Room,
    reason: Reason,
    lasts: For = None,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Ask for a room to be put in order by a date."""
    _order("rectify", config_file, room, reason, lasts, operator, json=json)


def suspend(
    room: Room,
    reason: Reason,
    lasts: For = None,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Let only managers post for a time."""
    _order("suspend", config_file, room, reason, lasts, operator, json=json)


def close(
    room: Room,
    reason: Reason,
    lasts: For = None,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Let nobody post or join."""
    _order("close", config_file, room, reason, lasts, operator, json=json)


def reopen(
    room: Room,
    reason: Reason,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """End all measures in force against a room."""
    done = _perform("reopen", config_file, room, reason, operator)
    if json:
        as_json(done)
    else:
        say("cli.rooms.reopened", code=done["room"])


def leave(
    room: Room,
    reason: Reason,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Say goodbye in a room and its desk, and leave both."""
    done = _perform("leave", config_file, room, reason, operator)
    if json:
        as_json(done)
    else:
        say("cli.rooms.leaving", code=done["room"])


def add_measures(app: typer.Typer) -> None:
    """Make these commands part of `answerable rooms`."""
    for run in (rectify, suspend, close, reopen, leave):
        key = run.__name__
        app.command(key, help=text(f"cli.rooms.what.{key}"), epilog=text("cli.rooms.measure_epilog"))(run)


def _order(
    kind: str, config_file: Path, room: str, reason: str, lasts: str | None, operator: str | None, *, json: bool
) -> None:
    done = _perform(kind, config_file, room, reason, operator, for_ms=_length(lasts))
    if json:
        as_json(done)
    elif done["until"]:
        say(f"cli.rooms.ordered.{kind}", code=done["room"], n=str(done["case"]))
        say("notice.until", until=Moment(done["until"]))
    else:
        say(f"cli.rooms.ordered.{kind}", code=done["room"], n=str(done["case"]))


def _perform(what: str, config_file: Path, room: str, reason: str, operator: str | None, **more: Any) -> dict[str, Any]:
    from bot.cli.access.admin_client import perform
    from bot.config.config import load_config

    config = load_config(config_file)
    by, words = operator_of(config, operator), check_reason(reason)

    async def code(db: Any, _config: Any) -> str:
        return str((await find_room(db, room)).code)

    found = read(config_file, code)
    return perform(config, f"room-{what}", room=found, by=by, reason=words, reader=user(), **more)


def _length(typed: str | None) -> int:
    """Return a duration in milliseconds; 0 for the usual one. Raises `Invalid`."""
    try:
        return parse_duration(typed) if typed is not None else 0
    except ValueError:
        raise Invalid(text("cli.rooms.bad_length", typed=typed)) from None
