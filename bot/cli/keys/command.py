"""`answerable keys`: the keys with which the bot reads encrypted rooms, and by which people's clients know it.

``--json``: `status`: `user`, `device`, `fingerprint`, `state` (ready, absent, unsigned, locked, replaced, lost),
`backup` (none, ours, foreign), `recovery` (whether there is a recovery key), `master`, `master_there`, `keys` (of
rooms), `backed_up` (of these), `waiting` (events that wait for a key); `verifications`: a list of objects with `id`,
`user`, `stage`, `since`, `emoji` (pairs of picture and name), `numbers`.

Rules kept here:
- No secret is an argument or shown again.
- What replaces keys is asked twice; without a terminal nothing is asked.

Left to others: doing it (`perform.py`, `bot/admin/keys.py`).
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.run import make_data_dir, only_instance, running_pid
from bot.cli.terminal.ask import asked_secret, make_sure, secret_from_stdin
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from bot.cli.terminal.output import as_json, say, tell, text, word
from bot.cli.terminal.tables import sheet
from moderation.values.errors import Broken, Refused
from moderation.values.notices import Moment, Who

from .perform import hand_over, must_be_new, perform, perform_with_password

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.matrix.login import Session
    from storage.database.fence import Epoch

app = new_app("cli.keys.help")

PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help=text("cli.keys.option.password_stdin"))]
RecoveryKeyStdin = Annotated[bool, typer.Option("--recovery-key-stdin", help=text("cli.keys.option.recovery_stdin"))]
RecoveryKeyOut = Annotated[
    Path | None, typer.Option("--recovery-key-out", metavar="FILE", help=text("cli.keys.option.recovery_out"))
]
Yes = Annotated[bool, typer.Option("--yes", help=text("cli.keys.option.yes"))]
Id = Annotated[str, typer.Argument(metavar="ID", help=text("cli.keys.option.id"))]


@app.callback(invoke_without_command=True)
def keys(context: typer.Context, json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Show the state of the keys, if no subcommand is given."""
    if context.invoked_subcommand is None:
        status(json, config_file)


@app.command(help=text("cli.keys.status_help"))
def status(json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Show the state of the keys."""
    found = perform(read_config(config_file), "keys-status")
    if json:
        as_json(found)
    else:
        show(found)


def show(found: Mapping[str, Any]) -> None:
    """Show the state of the keys, and what to do."""
    rows: list[tuple[str, object]] = [
        ("account", Who(found["user"])),
        ("device", found["device"]),
        ("fingerprint", _in_groups(found["fingerprint"])),
        ("state", word("keys_state", found["state"])),
        ("recovery", text("cli.yes") if found["recovery"] else text("cli.no")),
        ("keys", found["keys"]),
        ("backed_up", found["backed_up"]),
        ("waiting", found["waiting"]),
    ]
    sheet((text(f"cli.keys.row.{name}"), value) for name, value in rows)
    say(f"crypto.state.{found['state']}")
    if found["state"] == "ready":
        say(f"crypto.backup.{found['backup']}")


@app.command("set-up", help=text("cli.keys.set_up_help"), epilog=text("cli.keys.set_up_epilog"))
def set_up(
    new_recovery_key: Annotated[bool, typer.Option("--new-recovery-key", help=text("cli.keys.option.new_key"))] = False,
    recovery_key_out: RecoveryKeyOut = None,
    password_stdin: PasswordStdin = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Make the keys that are missing."""
    must_be_new(recovery_key_out)
    password = secret_from_stdin("--password-stdin") if password_stdin else None
    config = read_config(config_file)
    done = perform_with_password(config, "keys-set-up", password, new_recovery_key=new_recovery_key)
    say(f"crypto.state.{done['state']}")
    hand_over(done["recovery_key"], recovery_key_out)


@app.command(help=text("cli.keys.recover_help"), epilog=text("cli.keys.recover_epilog"))
def recover(recovery_key_stdin: RecoveryKeyStdin = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Recover the account's keys."""
    config = read_config(config_file)
    key = _recovery_key(stdin=recovery_key_stdin)
    _recovered(perform(config, "keys-recover", recovery_key=key))


@app.command(help=text("cli.keys.reset_help"), epilog=text("cli.keys.reset_epilog"))
def reset(
    yes: Yes = False,
    recovery_key_out: RecoveryKeyOut = None,
    password_stdin: PasswordStdin = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Replace the account's keys."""
    must_be_new(recovery_key_out)
    config = read_config(config_file)
    password = secret_from_stdin("--password-stdin") if password_stdin else None
    make_sure("cli.keys.reset_sure", yes=yes)
    done = perform_with_password(config, "keys-reset", password)
    say(f"crypto.state.{done['state']}")
    hand_over(done["recovery_key"], recovery_key_out)


@app.command("new-device", help=text("cli.keys.new_device_help"), epilog=text("cli.keys.new_device_epilog"))
def new_device(
    yes: Yes = False,
    password_stdin: PasswordStdin = False,
    recovery_key_stdin: RecoveryKeyStdin = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Start over as a new device if the device's keys are lost."""
    config = read_config(config_file)
    from bot.leading.lead import leads

    if running_pid(config.data_dir) is not None:
        raise Refused("cli.keys.stop_first")
    make_sure("cli.keys.new_device_sure", yes=yes)
    password = secret_from_stdin("--password-stdin") if password_stdin else asked_secret("password", "--password-stdin")
    key = _recovery_key(stdin=True) if recovery_key_stdin else ""
    make_data_dir(config.data_dir)
    with only_instance(config.data_dir), leads(config, any_keys=True) as epoch:
        device = asyncio.run(_new_session(config, password, epoch))
    say("cli.keys.new_device", device=device)
    if key:
        _recovered(perform(read_config(config_file), "keys-recover", recovery_key=key))
    else:
        tell("cli.keys.now_recover")


@app.command(help=text("cli.keys.verifications_help"))
def verifications(json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """List the people who compare emoji with the bot now."""
    found = perform(read_config(config_file), "keys-verifications")["verifications"]
    if json:
        as_json(found)
    elif not found:
        say("cli.keys.no_verifications")
    else:
        for each in found:
            _show_verification(each)


@app.command(help=text("cli.keys.confirm_help"), epilog=text("cli.keys.confirm_epilog"))
def confirm(id: Id, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Confirm that the emoji are the same."""
    done = perform(read_config(config_file), "keys-confirm", id=id)
    say("cli.keys.confirmed" if done["stage"] == "done" else "cli.keys.confirmed_here", who=Who(done["user"]))


@app.command(help=text("cli.keys.refuse_help"))
def refuse(id: Id, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Say that the emoji are not the same."""
    done = perform(read_config(config_file), "keys-refuse", id=id)
    say("cli.keys.refused", who=Who(done["user"]))


def _show_verification(each: Mapping[str, Any]) -> None:
    say("cli.keys.verification", id=each["id"], who=Who(each["user"]), since=Moment(each["since"]))
    if each["emoji"]:
        named = "  ·  ".join(f"{picture} {text(f'crypto.emoji.{name}')}" for picture, name in each["emoji"])
        say("verifying.emoji", emoji=named, numbers=" ".join(map(str, each["numbers"])))
        say("cli.keys.compare", id=each["id"])
    else:
        say("cli.keys.not_shown_yet")


def _recovery_key(*, stdin: bool) -> str:
    if stdin:
        return secret_from_stdin("--recovery-key-stdin")
    return asked_secret("recovery_key", "--recovery-key-stdin")


def _recovered(done: Mapping[str, Any]) -> None:
    say(f"crypto.state.{done['state']}")
    if done["taken"] is None:
        say("cli.keys.no_backup")
    else:
        say("cli.keys.recovered", taken=done["taken"], unreadable=done["unreadable"])


async def _new_session(config: "Config", password: str, epoch: "Epoch | None") -> str:
    """Log in as a new device and store that session; end the old one, whose keys are of no use."""
    from bot.account.new_device import begin_again
    from bot.cli.session import log_in, store_session

    home, token = config.homeserver, await _old_token(config)
    session = await log_in(home.url, home.user, password, home.device_name)
    store_session(config.env_file, session)
    if epoch is not None:
        await asyncio.to_thread(begin_again, config.place, session, epoch)
    if token is not None:
        await _end(session, token)
    return session.device


async def _old_token(config: "Config") -> str | None:
    """Return the token of the old session, if it can still be read."""
    from bot.cli.session import present_token
    from bot.crypto.errors import WrongKey

    try:
        return await present_token(config)
    except (Broken, WrongKey):  # the key that opens the one in the database is what was lost
        return config.secrets.access_token.get_secret_value() if config.secrets.access_token else None


async def _end(session: "Session", token: str) -> None:
    """Log the old device out, so that nobody gives it keys any more. It does no harm if it has ended already."""
    from bot.matrix.errors import HomeserverError
    from bot.matrix.http import Ask, Wire

    async with Wire(session.url, token=token) as wire:
        try:
            await wire.ask(Ask(method="POST", segments=("logout",), json={}))
        except HomeserverError as error:
            tell("cli.keys.old_device_left", why=error.detail)


def _in_groups(fingerprint: str) -> str:
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))
