"""`answerable rooms rectify|suspend|lockdown|close|reopen|leave ROOM`: measures against a room by an operator.

``--json``: `room` (code), `case` (null when a measure is lifted), `until` (0: no end; null when lifted), `ended` (the
kinds that end by it). With ``--all``: `rooms`, a list of such objects.
Left to others: what is written (`bot/admin/rooms.py`), the list of rooms (`command.py`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.access.access_reason import Reason, length_of
from bot.cli.access.lookup import find_code, read
from bot.cli.access.operator import As, perform_as
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, RoomArgument, read_config
from bot.cli.terminal.output import as_json, say, say_done, text
from moderation.values.notices import Moment

EVERY_ROOM = "*"  # as `bot/admin/rooms.py` reads it
For = Annotated[str | None, typer.Option("--for", metavar="7d", help=text("cli.rooms.for"))]


def add_measures(app: typer.Typer) -> None:
    """Make these commands part of `answerable rooms`."""
    commands = {kind: _ordering(kind) for kind in ("rectify", "suspend", "close")}
    commands["lockdown"] = _lockdown
    commands |= {"reopen": _saying("reopen", "cli.rooms.reopened"), "leave": _saying("leave", "cli.rooms.leaving")}
    for name, command in commands.items():
        app.command(name, help=text(f"cli.rooms.what.{name}"), epilog=text("cli.rooms.measure_epilog"))(command)


def _ordering(kind: str) -> Callable[..., None]:
    def order(
        room: RoomArgument,
        reason: Reason,
        lasts: For = None,
        operator: As = None,
        json: AsJson = False,
        config_file: ConfigFile = DEFAULT_CONFIG,
    ) -> None:
        done = _perform(kind, config_file, room, reason, operator, for_ms=length_of(lasts) if lasts is not None else 0)
        if json:
            as_json(done)
            return
        say(f"cli.rooms.ordered.{kind}", code=done["room"], n=str(done["case"]))
        if done["until"]:
            say("notice.until", until=Moment(done["until"]))

    return order


def _lockdown(
    reason: Reason,
    room: Annotated[str, typer.Argument(metavar="[ROOM]", help=text("cli.option.room"))] = "",
    lasts: For = None,
    every: Annotated[bool, typer.Option("--all", help=text("cli.rooms.lockdown_all"))] = False,
    off: Annotated[bool, typer.Option("--off", help=text("cli.rooms.lockdown_off"))] = False,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    if every == bool(room):
        raise typer.BadParameter(text("cli.rooms.lockdown_which"))
    what, for_ms = "lockdown-off" if off else "lockdown", length_of(lasts) if lasts is not None else 0
    done = _perform(what, config_file, EVERY_ROOM if every else room, reason, operator, for_ms=for_ms)
    if json:
        as_json(done)
        return
    for each in done["rooms"] if every else [done]:
        if off:
            say("cli.rooms.lockdown_over", code=each["room"])
        else:
            say("cli.rooms.ordered.lockdown", code=each["room"], n=str(each["case"]))
    if every and not done["rooms"]:
        say("cli.rooms.none_locked_down")


def _saying(what: str, key: str) -> Callable[..., None]:
    def perform(
        room: RoomArgument,
        reason: Reason,
        operator: As = None,
        json: AsJson = False,
        config_file: ConfigFile = DEFAULT_CONFIG,
    ) -> None:
        done = _perform(what, config_file, room, reason, operator)
        say_done(done, key, json=json, code=done["room"])

    return perform


def _perform(what: str, config_file: Path, room: str, reason: str, operator: str | None, **more: Any) -> dict[str, Any]:
    config = read_config(config_file)
    code = room if room == EVERY_ROOM else read(config, find_code, room)
    return perform_as(operator, config, f"room-{what}", reason=reason, room=code, **more)
