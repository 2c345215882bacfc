"""The person who acts at the command line: an operator of the configuration, and a user of the operating system."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.terminal.output import text
from moderation.values.errors import Refused
from moderation.values.ids import UserId

from .access_reason import check_reason, user
from .admin_client import perform

if TYPE_CHECKING:
    from bot.config.config import Config

AS = "--as"
As = Annotated[str | None, typer.Option(AS, metavar="@OP:SERVER", help=text("cli.operator.option"))]


def operator_of(config: "Config", named: str | None) -> UserId:
    """Return the operator who acts: the one named, or the only one. Raises `Refused`, saying what to do."""
    known = config.bot.operators
    if named is not None:
        if named not in known:
            raise Refused("cli.operator.unknown", given=named)
        return UserId(named)
    if not known:
        raise Refused("cli.operator.none", file=config.file)
    if len(known) > 1:
        raise Refused("cli.operator.which", operators=", ".join(known))
    return UserId(known[0])


def perform_as(named: str | None, config: "Config", do: str, /, *, reason: str, **arguments: Any) -> dict[str, Any]:
    """Perform an operation in the name of an operator, with a reason. Raises `Refused`, `Invalid`."""
    by, words = operator_of(config, named), check_reason(reason)
    return perform(config, do, by=by, reason=words, reader=user(), **arguments)
