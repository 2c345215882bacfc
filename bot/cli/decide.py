"""`answerable decide N uphold|dismiss`: an operator decides a case.

``--json``: `n`, `outcome`. Left to others: what follows (`bot/admin/cases.py`).
"""

from typing import Annotated, Literal

import typer

from .access.access_reason import Reason
from .access.operator import As, perform_as
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import say_done, text

What = Literal["uphold", "dismiss"]
Fault = Literal["error", "bad-faith"]

app = new_app("cli.decide.help")


@app.command(help=text("cli.decide.help"), epilog=text("cli.decide.epilog"))
def decide(
    n: Annotated[int, typer.Argument(metavar="N", min=1, help=text("cli.cases.n"))],
    what: Annotated[What, typer.Argument(help=text("cli.decide.what"))],
    reason: Reason,
    fault: Annotated[Fault | None, typer.Option("--fault", help=text("cli.decide.fault"))] = None,
    operator: As = None,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Decide a case."""
    asked = {"n": n, "what": what, "fault": fault or ""}
    done = perform_as(operator, read_config(config_file), "decide", reason=reason, **asked)
    say_done(done, f"cli.decide.{done['outcome']}", json=json, n=str(n))
