"""`answerable charge @USER`: an operator charges a duty broken outside the bot against a person's standing.

``--json``: `n` (the case that was opened), `cost`, `left` (standing now). Left to others: what follows
(`bot/admin/cases.py`).
"""

from typing import Annotated, Literal

import typer

from .access.access_reason import Reason, person_of
from .access.operator import As, perform_as
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import say_done, text

Duty = Literal["own-case", "vouch", "identity"]

app = new_app("cli.charge.help")


@app.command(help=text("cli.charge.help"), epilog=text("cli.charge.epilog"))
def charge(
    person: Annotated[str, typer.Argument(metavar="@USER:SERVER")],
    duty: Annotated[Duty, typer.Option("--for", help=text("cli.charge.for"))],
    room: Annotated[str, typer.Option("--room", "-r", metavar="G-CODE", help=text("cli.charge.room"))],
    reason: Reason,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Charge a person's standing."""
    who = person_of(person)
    asked = {"person": who, "duty": duty, "room": room.upper()}
    done = perform_as(operator, read_config(config_file), "charge", reason=reason, **asked)
    say_done(done, "cli.charge.done", json=json, who=who, cost=done["cost"], left=done["left"], n=str(done["n"]))
