"""Options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

from .output import text

DEFAULT_CONFIG = Path("config.toml")

ConfigFile = Annotated[Path, typer.Option("--config", "-c", envvar="ANSWERABLE_CONFIG", help=text("cli.option.config"))]
AsJson = Annotated[bool, typer.Option("--json", help=text("cli.option.json"))]


def new_app(key: str) -> typer.Typer:
    """Make a command that has its own file; its help is the text `key`."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help=text(key),
    )
