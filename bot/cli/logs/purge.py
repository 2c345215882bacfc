"""`answerable logs purge`: remove records whose time is over, or list them with ``--dry-run``.

With ``--json``: `below` (the first record that stays), `days`, `records`, `bytes`, `stopped_by` (null, or an object
with `why`, `day`, `kind`, `hold`).
"""

from typing import Annotated

import typer

from bot.cli.access.admin_client import perform
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, read_config
from bot.cli.terminal.output import as_json, say, text


def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help=text("cli.logs.purge.dry_run"))] = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Remove the records whose time is over."""
    done = perform(read_config(config_file), "purge", dry_run=dry_run)
    if json:
        as_json(done)
        return
    if not done["days"]:
        say("cli.logs.purge.nothing")
    else:
        key = "cli.logs.purge.would" if dry_run else "cli.logs.purge.done"
        days = done["days"]
        megabytes = f"{done['bytes'] / 1e6:.1f}"
        say(key, first=days[0], last=days[-1], days=len(days), records=done["records"], megabytes=megabytes)
    if stop := done["stopped_by"]:
        say(f"cli.logs.purge.stop.{stop['why']}", day=stop["day"], kind=stop["kind"], hold=stop["hold"])
