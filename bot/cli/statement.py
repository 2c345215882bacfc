"""`answerable statement N`: the statements of reasons for a case, as the person concerned got them.

They hold people's words, so a reason is needed, and recorded. ``--json``: a list of objects with the fields of
`moderation/cases/statements.py`, oldest first; empty fields are left out.
"""

from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from moderation.values.errors import Refused

from .access.access_reason import Reason, check_reason, leave_note
from .access.lookup import now_ms, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import as_json, say, text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config

app = new_app("cli.statement.help")


@app.command(help=text("cli.statement.help"), epilog=text("cli.statement.epilog"))
def statement(
    n: Annotated[int, typer.Argument(metavar="N", min=1, help=text("cli.cases.n"))],
    reason: Reason,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show the statements of reasons."""
    words, now, config = check_reason(reason), now_ms(), read_config(config_file)
    found = read(config, _found, config, n)
    leave_note(config.data_dir, words, now, {"what": "statement", "case": n})
    if json:
        as_json([orjson.loads(each) for each in found["statements"]])
        return
    for shown in found["lines"]:
        typer.echo(shown)
    if not found["lines"]:
        say("cli.statement.none", n=str(n))


async def _found(db: "AsyncConnection", config: "Config", n: int) -> dict[str, Any]:
    from bot.texts.catalog import Catalog, cli_language
    from bot.texts.matrix_message import Speech
    from bot.texts.statement import statement_lines
    from moderation.cases.statements import from_json
    from storage import queries

    case = await queries.case_view(db, n)
    if case is None:
        raise Refused("error.case.none", n=n)
    kept = await queries.statements_of(db, n)
    speech = Speech(Catalog.load().with_prefix(config.bot.prefix), config.policy, cli_language())
    names = await queries.room_names(db)
    stated = [each for each in map(from_json, kept) if each is not None]
    lines = [speech.text(statement_lines(each, case.room), speech.language(), names).plain for each in stated]
    return {"statements": kept, "lines": lines}
