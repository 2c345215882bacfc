"""`answerable rooms rectify|suspend|close|reopen|leave ROOM`: measures against a room, and leaving it, by an operator.

``--json``: `room` (code), `case` (null when a measure is lifted), `until` (0: no end; null when lifted), `ended` (the
kinds that end by it).
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

For = Annotated[str | None, typer.Option("--for", metavar="7d", help=text("cli.rooms.for"))]


def add_measures(app: typer.Typer) -> None:
    """Make these commands part of `answerable rooms`."""
    commands = {kind: _ordering(kind) for kind in ("rectify", "suspend", "close")}
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
    code = read(config, find_code, room)
    return perform_as(operator, config, f"room-{what}", reason=reason, room=code, **more)
