"""`answerable check`: finds everything that can be known before trouble comes, each with its remedy.

Rules kept here:
- It changes nothing, neither on disk nor on the homeserver (except that the key store notes what the homeserver says),
  and logs nobody in. So it can be run at any time, also while the bot runs.
- Exit code 1 if there is a problem; warnings do not count.

Left to others: what is looked at on this machine (`this_machine.py`, `clock.py`) and on the homeserver
(`homeserver.py`).

``--json``: a list of objects with the keys `check`, `state` (ok, note, warning or problem), `key` (a stable name of
what was found), `text`, `remedy`.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from bot.cli.terminal.output import FAILED, as_json, console, say, text
from bot.cli.terminal.progress import progress

from .findings import Finding, ok, warning

_MARKS = {"ok": ("✓", "green"), "note": ("·", "dim"), "warning": ("!", "yellow"), "problem": ("✗", "red")}

app = new_app("cli.check.help")


@app.command(help=text("cli.check.help"), epilog=text("cli.check.epilog"))
def check(
    config_file: ConfigFile = DEFAULT_CONFIG,
    admin_token_stdin: Annotated[bool, typer.Option("--admin-token-stdin", help=text("cli.check.admin_token"))] = False,
    json: AsJson = False,
) -> None:
    """Run all checks."""
    from .alerts import alerts
    from .antispam import antispam
    from .clock import clock_findings
    from .communities import communities
    from .database import other_rooms
    from .email import email
    from .homeserver import homeserver_findings
    from .oidc import issuers
    from .plugins import plugins
    from .policy_server import policy_server
    from .this_machine import machine_findings

    admin_token = sys.stdin.readline().strip() if admin_token_stdin else ""
    config = read_config(config_file)
    with progress():
        findings = [
            ok("config", "config", file=config.file, rules=len(config.rules)),
            *new_names(config.old_names),
            communities(config),
            *machine_findings(config),
            *clock_findings(config.data_dir),
            *email(config),
            *alerts(config),
            *antispam(config),
            *issuers(config),
            *plugins(config),
            *policy_server(config),
            *asyncio.run(homeserver_findings(config, admin_token, other_rooms(config.place))),
        ]
    if json:
        as_json([finding.as_dict() for finding in findings])
    else:
        show_findings(findings)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(FAILED)


def new_names(old_names: Sequence[str]) -> Iterator[Finding]:
    """Report the tables of the configuration that have a new name."""
    from bot.config.renamed import RENAMED

    return (warning("config", "config_renamed", old=old, new=RENAMED[old]) for old in old_names)


def show_findings(findings: Sequence[Finding]) -> None:
    """Print findings, each with its remedy, and how many are problems."""
    from rich.cells import cell_len
    from rich.text import Text

    from bot.cli.terminal.tables import wrapped

    names = [text(f"cli.check.name.{finding.check}") for finding in findings]
    margin, out = max(map(cell_len, names)) + 4, console()
    for finding, name in zip(findings, names, strict=True):
        mark, style = _MARKS[finding.state]
        first = Text.assemble((mark, style), f" {name}{' ' * (margin - 2 - cell_len(name))}")
        for words, dim in ((finding.words, ""), (f"→ {finding.remedy}" if finding.remedy else "", "dim")):
            for line in wrapped(words, out.width - margin) if words else ():
                out.print(Text.assemble(first, (line, dim)), soft_wrap=True)
                first = Text(" " * margin)
        for line in finding.block.splitlines():
            out.print(Text(f"{' ' * margin}{line}"), soft_wrap=True)
    problems = sum(finding.state == "problem" for finding in findings)
    warnings = sum(finding.state == "warning" for finding in findings)
    if problems or warnings:
        say("cli.check.summary", problems=problems, warnings=warnings)
    else:
        say("cli.check.all_well")
