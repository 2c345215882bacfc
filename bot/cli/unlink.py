"""`answerable unlink @USER`: separate two accounts that do not belong to the same person after all.

``--json``: `person`, `other` (the account whose person it had joined). Left to others: what ends and what follows
(`bot/admin/people.py`).
"""

from typing import Annotated

import typer

from .access.access_reason import Reason, check_reason, person_of, user
from .console.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app
from .console.output import as_json, say, text

app = new_app("cli.unlink.help")


@app.command(help=text("cli.unlink.help"), epilog=text("cli.unlink.epilog"))
def unlink(
    person: Annotated[str, typer.Argument(metavar="@USER:SERVER", help=text("cli.option.person"))],
    reason: Reason,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """End the link by which an account joined a person."""
    from bot.config.config import load_config

    from .access.admin_client import perform

    asked = {"person": person_of(person), "reason": check_reason(reason), "reader": user()}
    done = perform(load_config(config_file), "unlink", **asked)
    if json:
        as_json(done)
    else:
        say("cli.unlink.done", who=done["person"], other=done["other"])
