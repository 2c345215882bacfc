"""`answerable erase PERSON`: remove what is held on a person from the records and the tables.

With ``--json``: `parts` (erased, or with ``--dry-run`` to be erased), `record` (of the erasure; -1: none), `kept`
(objects with `parts`, `duty`, `until`; duty "" is a measure or charge in force), `said` (messages that are redacted),
`elsewhere` (records in which others name them), `identity` (what they proved about themselves: `claims` that go,
`marks`: whether it stays known, unreadable, that their identifiers were used, `held`: `duty` and `until`, or null).
"""

from typing import Annotated, Any

import typer

from moderation.values.notices import Code, Moment

from .access.access_reason import Reason, check_reason, person_of
from .access.admin_client import perform
from .terminal.ask import make_sure
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import as_json, say, text

app = new_app("cli.erase.help")


@app.command(help=text("cli.erase.help"), epilog=text("cli.erase.epilog"))
def erase(
    person: Annotated[str, typer.Argument(metavar="@USER:SERVER")],
    reason: Reason,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=text("cli.erase.dry_run"))] = False,
    yes: Annotated[bool, typer.Option("--yes", help=text("cli.erase.yes"))] = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Erase a person."""
    config = read_config(config_file)
    user, words = person_of(person), check_reason(reason)
    plan = perform(config, "erase", person=user, reason=words, dry_run=True)
    if not dry_run:
        make_sure("cli.erase.sure", yes=yes, person=user, parts=plan["parts"])
        plan = perform(config, "erase", person=user, reason=words)
    if json:
        as_json(plan)
        return
    _tell(plan, dry_run=dry_run)


def _tell(done: dict[str, Any], *, dry_run: bool) -> None:
    if dry_run:
        say("cli.erase.would", parts=done["parts"], yes=Code("--dry-run"))
    elif done["parts"]:
        say("cli.erase.done", parts=done["parts"], record=str(done["record"]))
    elif not any(done["identity"].values()):
        say("cli.erase.nothing")
    _tell_identity(done["identity"], dry_run=dry_run)
    for kept in done["kept"]:
        key = "own.erase.kept" if kept["until"] else "own.erase.kept-open"
        say(key, parts=kept["parts"], until=Moment(kept["until"]), duty=kept["duty"] or text("own.erase.duty-measure"))
    if done["said"]:
        say("cli.erase.said", count=done["said"])
    if done["elsewhere"]:
        say("cli.erase.elsewhere", count=done["elsewhere"])


def _tell_identity(done: dict[str, Any], *, dry_run: bool) -> None:
    if held := done["held"]:
        say("cli.erase.identity_kept", until=Moment(held["until"]), duty=held["duty"])
    elif done["claims"]:
        say("cli.erase.identity_would" if dry_run else "cli.erase.identity", count=done["claims"])
    if done["marks"] and not done["held"]:
        say("cli.erase.identity_marks")
