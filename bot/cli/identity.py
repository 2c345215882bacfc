"""`answerable identity`: what verified members proved about themselves, and the key that opens it.

``--json``: `show`: `person`, `accounts`, `claims` (objects with `method`, `issuer`, `fields`, `created`, `expires`,
`record`), `record` (of this reading); `status`: `source` (none, environment, credential, file), `file`, `wrong` (of the
key that was given), `lock` (open, no_key, other_key, unfinished, damaged), `key`, `used`, `changing_to`, `left`,
`persons`, `claims`, `forgotten`; `new-key`: `file`, `key`; `rotate`: `key`, `was`, `keys`, `file`; `reset`: `claims`.

Rules kept here:
- A key is never shown, nor given as an argument: only files that hold one are.
- All reading is recorded first, by the bot if it runs, else here by the same code.

Left to others: what is done (`bot/admin/identity.py`), where the key comes from (`bot/config/identity_key.py`).
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Refused
from moderation.values.notices import Moment, Who

from .access.access_reason import Reason, check_reason, person_of, user
from .access.admin_client import ask_bot, perform
from .access.lookup import identity_store
from .run import running_pid
from .terminal.ask import make_sure
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, PersonArgument, Wide, new_app, read_config
from .terminal.output import as_json, say, say_done, text, word
from .terminal.progress import progress
from .terminal.tables import Look, sheet, table

if TYPE_CHECKING:
    from bot.config.config import Config

app = new_app("cli.identity.help")


@app.command(help=text("cli.identity.show_help"), epilog=text("cli.identity.show_epilog"))
def show(
    person: PersonArgument,
    case: Annotated[int, typer.Option("--case", "-n", min=1, help=text("cli.identity.case"))],
    reason: Reason,
    json: AsJson = False,
    wide: Wide = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show what a person proved."""
    asked = {"person": person_of(person), "case": case, "reason": check_reason(reason), "reader": user()}
    done = perform(read_config(config_file), "identity-show", **asked)
    if json:
        as_json(done)
        return
    rows = [
        (each["method"], each["issuer"] or "", name, value, Moment(each["expires"]) if each["expires"] else "")
        for each in done["claims"]
        for name, value in each["fields"].items()
    ]
    if rows:
        table(("method", "issuer", "field", "value", "until"), rows, Look(wide))
    else:
        say("cli.identity.nothing", who=Who(done["person"]))
    say("cli.identity.recorded", record=str(done["record"]))


@app.command(help=text("cli.identity.status_help"))
def status(json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Show the state of the store."""
    found = _status(read_config(config_file))
    if json:
        as_json(found)
        return
    rows: list[tuple[str, object]] = [
        ("key", found["key"] or text("cli.no")),
        ("source", _source(found)),
        ("lock", word("lock", found["lock"])),
        ("used", ", ".join(found["used"])),
        ("people", found["persons"]),
        ("claims", found["claims"]),
        ("forgotten", found["forgotten"]),
    ]
    sheet((text(f"cli.identity.row.{name}"), value) for name, value in rows)
    if found["wrong"]:
        say(f"cli.identity.wrong.{found['wrong']}", file=found["file"] or found["source"])
    elif found["changing_to"]:
        say("cli.identity.unfinished", id=found["changing_to"], left=found["left"])


@app.command("new-key", help=text("cli.identity.new_key_help"), epilog=text("cli.identity.new_key_epilog"))
def new_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=text("cli.identity.file"))],
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Make a key."""
    path = file.expanduser().absolute()
    kek = make_key_outside(path, read_config(config_file).data_dir if config_file.exists() else None)
    say_done({"file": str(path), "key": kek}, "cli.identity.made", json=json, file=path, id=kek)


@app.command(help=text("cli.identity.rotate_help"), epilog=text("cli.identity.rotate_epilog"))
def rotate(
    new_key_file: Annotated[Path, typer.Option("--new-key-file", metavar="FILE", help=text("cli.identity.new_file"))],
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Change the key."""
    path = new_key_file.expanduser().absolute()
    done = perform(read_config(config_file), "identity-rotate", file=str(path), reader=user())
    changed = {"count": done["keys"], "id": done["key"], "was": done["was"]}
    say_done(done, "cli.identity.rotated", json=json, file=path, **changed)


@app.command(help=text("cli.identity.reset_help"), epilog=text("cli.identity.reset_epilog"))
def reset(
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help=text("cli.erase.yes"))] = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Start over when the key is lost."""
    config, words = read_config(config_file), check_reason(reason)
    found = _status(config)
    if found["lock"] == "open":
        raise Refused("identity.not-lost")
    make_sure("cli.identity.reset_sure", yes=yes, people=found["persons"])
    done = perform(config, "identity-reset", reason=words, reader=user())
    say_done(done, "cli.identity.reset", json=json, count=done["claims"])


def make_key_outside(path: Path, data_dir: Path | None) -> str:
    """Write a new key into a file outside the data directory, if there is one; return its id. Raises `Refused`."""
    from bot.config.identity_key import is_inside, make_key

    if data_dir is not None and is_inside(path, data_dir):
        raise Refused("cli.identity.wrong.inside", file=path)
    return make_key(path).id


def _status(config: "Config") -> dict[str, Any]:
    """Ask the running bot, since perhaps nobody else can see its key; without one, read the disk."""
    from bot.admin.identity import status

    if running_pid(config.data_dir) is not None:
        with progress() as bar:
            return asyncio.run(ask_bot(config.data_dir, "identity-status", {}, bar))
    return status(*identity_store(config))


def _source(found: dict[str, Any]) -> str:
    source = word("key_source", found["source"])
    return f"{source}: {found['file']}" if found["file"] else source
