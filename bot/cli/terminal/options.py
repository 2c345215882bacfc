"""Options that several commands share, each described once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import text

if TYPE_CHECKING:
    from bot.config.config import Config

DEFAULT_CONFIG = Path("config.toml")

ConfigFile = Annotated[Path, typer.Option("--config", "-c", envvar="ANSWERABLE_CONFIG", help=text("cli.option.config"))]
AsJson = Annotated[bool, typer.Option("--json", help=text("cli.option.json"))]
Wide = Annotated[bool, typer.Option("--wide", "-w", help=text("cli.option.wide"))]
PersonArgument = Annotated[str, typer.Argument(metavar="@USER:SERVER", help=text("cli.option.person"))]
RoomArgument = Annotated[str, typer.Argument(metavar="ROOM", help=text("cli.option.room"))]


_chosen = [""]  # the shard that the command line names


def choose_shard(name: str | None) -> str | None:
    """Note which shard the command line, or the environment, names: that of the configuration to be read."""
    _chosen[0] = name or ""
    return name


def read_config(file: Path, *, with_secrets: bool = True) -> "Config":
    """Read the configuration. Its module is imported only now, since a help text does not need it."""
    from bot.config.config import load_config

    return load_config(file, with_secrets=with_secrets, shard=_chosen[0])


def new_app(key: str) -> typer.Typer:
    """Make a command that has its own file; its help is the text `key`."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help=text(key),
    )
