"""`answerable database move`: move the state of a stopped deployment from files to PostgreSQL, or back.

``move --json``: `to` (the address without account and password, or the data directory), `rows` (a number), `tables` (an
object: "store.table" -> `rows`, `sha256`), `finished` (whether this only ended an interrupted move).

Rules kept here:
- The bot does not run on this machine or another, and none can start meanwhile.
- What was copied is compared with what was read before it counts; the source is left as it was.
- What has to be changed in the settings is said at the end.
- A shard that has others is not moved to files: what shards tell each other is in the database.
- No password is taken from the command line, which every account of the machine can read, and none is shown.

Left to others: copying (`storage/moving/`), which of the two may be used (`storage/database/moved.py`).
"""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import SecretStr

from moderation.values.errors import Invalid, Refused

from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import as_json, say, text
from .terminal.progress import Bar, progress

if TYPE_CHECKING:
    from bot.config.config import Config
    from storage.moving.whole import Copied

SQLITE, POSTGRESQL = "sqlite", "postgresql"

app = new_app("cli.database.help")


@app.callback()
def database() -> None:
    """Hold the commands about the database."""


@app.command("move", help=text("cli.database.move"), epilog=text("cli.database.move_epilog"))
def move(
    to: Annotated[str, typer.Option("--to", metavar="postgresql|sqlite|URL", help=text("cli.database.to"))],
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Move the database."""
    from .run import only_instance

    config = read_config(config_file)
    there, to_files = _with_database(config, to), to == SQLITE
    with only_instance(config.data_dir, "cli.database.runs"), progress() as bar:
        copied = _moved(there, bar, to_files=to_files)
    where = str(config.data_dir) if to_files else str(there.place)
    if json:
        as_json(_as_json(where, copied))
        return
    rows = sum(each.rows for each in copied.values())
    if copied:
        say("cli.database.done", rows=rows, tables=len(copied), to=where)
    else:
        say("cli.database.finished", to=where)
    _say_settings(config, to, to_files=to_files)
    say("cli.database.next")


def _with_database(config: "Config", to: str) -> "Config":
    """Return the settings with the database on PostgreSQL. Raises `Refused` if the direction makes no sense."""
    from storage.database import moved
    from storage.database.place import DatabasePlace, has_password, is_address

    if not (config.data_dir / "records").is_dir():
        raise Invalid(text("cli.logs.no_records", data_dir=config.data_dir))
    if to == SQLITE:
        if config.place.url is None:
            raise Refused("cli.database.on_files", data_dir=config.data_dir)
        if len(config.shards) > 1:
            raise Refused("cli.database.shards", file=config.file)
        return config
    if to != POSTGRESQL:
        if not is_address(to):
            raise Invalid(text("cli.database.bad_to", to=to if to.isalnum() else "..."))
        if has_password(to):
            raise Refused("cli.database.password_seen", env=config.env_file)
        config = config.model_copy(update={"secrets": config.secrets.model_copy(update={"database": SecretStr(to)})})
    if config.place.url is None:
        raise Refused("cli.database.no_address")
    if not config.place.file.exists():
        raise Refused("cli.database.no_files", data_dir=config.data_dir)
    moved.refuse_moved(DatabasePlace(config.data_dir, shard=config.place.shard))
    return config


def _moved(config: "Config", bar: Bar, *, to_files: bool) -> "Copied":
    from bot.cli.access.lookup import now_ms
    from bot.crypto.store import places_of
    from bot.crypto.tables import ALL
    from bot.leading.lead import leads, worded
    from storage.journal.recover import recover
    from storage.journal.transparency.log_key import read_verifier
    from storage.moving.stores import DeviceStores
    from storage.moving.to_files import move_to_files
    from storage.moving.to_server import move_to_server

    place, devices = config.place, DeviceStores(places_of, ALL)
    report, records = partial(bar, text("cli.database.moving")), config.data_dir / "records"
    with worded(place), leads(config) as epoch:
        assert epoch is not None
        if not to_files:
            return move_to_server(place, epoch, devices, now_ms(), report)
        size = recover(records, read_verifier(records)).tree.size
        return move_to_files(place, epoch, size, devices, now_ms(), report, partial(_keep_session, config))


def moved_to_server(config: "Config", bar: Bar) -> "Copied":
    """Move the files to the database of the settings; the caller holds the data directory."""
    return _moved(config, bar, to_files=False)


def _keep_session(config: "Config") -> None:
    """Write the session into `.env` if the database had another one."""
    from bot.account.kept_session import kept_session
    from bot.matrix.login import Session

    from .session import store_session

    kept, known = kept_session(config.place), config.secrets.access_token
    if kept is not None and (known is None or known.get_secret_value() != kept.token):
        store_session(config.env_file, Session(config.homeserver.url, kept.user, kept.device, kept.token))


def _say_settings(config: "Config", to: str, *, to_files: bool) -> None:
    """Say what to change in the settings, if anything has to be."""
    if to_files:
        if config.database.url:
            say("cli.database.remove_line", file=config.file)
        if config.secrets.database:
            say("cli.database.remove_secret", env=config.env_file)
    elif to != POSTGRESQL and (config.place.url is None or config.place.url.get_secret_value() != to):
        say("cli.database.set_line", file=config.file, url=to)


def _as_json(where: str, copied: "Copied") -> dict[str, Any]:
    tables = {name: {"rows": each.rows, "sha256": each.digest} for name, each in copied.items()}
    return {
        "to": where,
        "rows": sum(each.rows for each in copied.values()),
        "tables": tables,
        "finished": not copied,
    }
