"""`answerable init`: make a configuration that works, from nothing, in one go.

Rules kept here:
- Nothing is written before the log-in has worked.
- An existing file is not changed without ``--force``. With it, the answers go into the file, all else stays, and the
  file as it was is kept as `config.toml.bak`.
- The password is used once and stored nowhere.
- `config.toml` is written last, so that it stands for a complete set-up.

Left to others: asking (`bot/cli/console/ask.py`), the file's content (`config_file.py`), storing the session
(`bot/cli/session.py`).
"""

import asyncio
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.console.ask import Credential, asked, credential, given, secret_from_stdin
from bot.cli.console.options import DEFAULT_CONFIG, ConfigFile, new_app
from bot.cli.console.output import say, tell, text
from bot.cli.keys.perform import must_be_new
from moderation.values.errors import Refused
from moderation.values.ids import UserId, is_user_id, server_of
from moderation.values.notices import Who

from .config_file import Answers, config_text, updated
from .encryption_keys import KeyChoice, make_keys

if TYPE_CHECKING:
    from bot.config.config import Config

app = new_app("cli.init.help")


def _option(name: str, key: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, help=text(f"cli.init.option.{key}"))
    return option


@app.command(help=text("cli.init.help"), epilog=text("cli.init.epilog"))
def init(
    config_file: ConfigFile = DEFAULT_CONFIG,
    homeserver: Annotated[str, _option("--homeserver", "homeserver")] = "",
    user: Annotated[str, _option("--user", "user")] = "",
    password_stdin: Annotated[bool, _option("--password-stdin", "password_stdin")] = False,
    password_env: Annotated[str, _option("--password-env", "password_env")] = "",
    token_stdin: Annotated[bool, _option("--token-stdin", "token_stdin")] = False,
    admin_token_stdin: Annotated[bool, _option("--admin-token-stdin", "admin_token_stdin")] = False,
    operator: Annotated[list[str] | None, _option("--operator", "operator")] = None,
    allow_invites: Annotated[list[str] | None, _option("--allow-invites", "allow_invites")] = None,
    language: Annotated[str, _option("--language", "language")] = "",
    data_dir: Annotated[str, _option("--data-dir", "data_dir")] = "data",
    identity_key: Annotated[Path | None, _option("--identity-key", "identity_key")] = None,
    recovery_key_stdin: Annotated[bool, _option("--recovery-key-stdin", "recovery_key_stdin")] = False,
    recovery_key_out: Annotated[Path | None, _option("--recovery-key-out", "recovery_key_out")] = None,
    reset_keys: Annotated[bool, _option("--reset-keys", "reset_keys")] = False,
    no_keys: Annotated[bool, _option("--no-keys", "no_keys")] = False,
    yes: Annotated[bool, _option("--yes", "yes")] = False,
    force: Annotated[bool, _option("--force", "force")] = False,
) -> None:
    """Set up."""
    file = config_file.expanduser().absolute()
    _refuse_to_replace(file, force=force)
    must_be_new(recovery_key_out)
    user = given("user", "--user", user, is_user_id) or asked("user", "--user", valid=is_user_id)
    for each in operator or ():
        given("operators", "--operator", each, is_user_id)
    given("language", "--language", language, _is_language)
    answers = Answers(
        url=_url(homeserver or (f"https://{server_of(user)}" if yes else _ask_url(user))),
        user=user,
        data_dir=data_dir,
        language=language or _ask_language(yes=yes),
        operators=(operators := tuple(operator or _ask_operators(yes=yes))),
        allow_invites=tuple(allow_invites or _ask_inviters(operators, yes=yes)),
        identity_key=str(identity_key.expanduser().absolute()) if identity_key else "",
    )
    content = _content(file, answers)
    asyncio.run(_server_answers(answers.url))
    logging_in = credential(password_stdin, password_env, token_stdin)  # of standard input, one secret a line
    recovery_key = secret_from_stdin("--recovery-key-stdin") if recovery_key_stdin else ""
    admin_token = secret_from_stdin("--admin-token-stdin") if admin_token_stdin else ""
    keys = KeyChoice(no_keys, reset_keys, yes, recovery_key, recovery_key_out)
    asyncio.run(_set_up(file, content, logging_in, keys, admin_token))


def _refuse_to_replace(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise Refused("cli.init.exists", file=file)
    if not os.access(next(folder for folder in file.parents if folder.exists()), os.W_OK | os.X_OK):
        raise Refused("cli.init.not_writable", folder=file.parent)


def _content(file: Path, answers: Answers) -> str:
    """Return the configuration with the answers; of one that is there, all else stays.

    Raises `ConfigError` for an answer that could not be a setting, and `Refused` if the present file cannot be changed
    by this program, before anything happens.
    """
    from bot.config.config import parse_config

    there = file.read_text("utf-8") if file.exists() else ""
    content = updated(there, answers) if there else config_text(answers)
    if content is None:
        raise Refused("cli.init.by_hand", file=file)
    parse_config(file, content)
    return content


def _replace(file: Path, content: str) -> None:
    """Write the configuration. One that is there is kept: `config.toml.bak`, `config.toml.bak2` ..."""
    from bot.cli.session import write_private

    if file.exists():
        names = (file.with_name(f"{file.name}.bak{n if n > 1 else ''}") for n in count(1))
        kept = next(name for name in names if not name.exists())
        write_private(kept, file.read_text("utf-8"))
        say("cli.init.kept", file=kept)
    write_private(file, content)


async def _server_answers(url: str) -> None:
    """Raise `Refused` if there is no homeserver at `url`."""
    from bot.matrix.client import Homeserver, Session
    from bot.matrix.errors import HomeserverError

    homeserver = Homeserver(Session(url, UserId(""), "", ""), request_timeout_s=15)
    try:
        await homeserver.versions()
    except HomeserverError as error:
        raise Refused("cli.init.no_homeserver", url=url, detail=error.detail) from None
    finally:
        await homeserver.close()


async def _set_up(file: Path, content: str, logging_in: Credential, keys: KeyChoice, admin_token: str) -> None:
    from bot.cli.session import log_in, store_session, stored_session
    from bot.config.config import ENV_FILE, parse_config
    from bot.matrix.client import Homeserver
    from bot.matrix.rate_limit import find_out

    config = parse_config(file, content)
    if logging_in.token:
        session = await stored_session(config, logging_in.token)
    else:
        home = config.homeserver
        # With the device of an earlier set-up, messages encrypted for it stay readable.
        device = config.secrets.device_id
        session = await log_in(home.url, home.user, logging_in.password, home.device_name, device)
    file.parent.mkdir(parents=True, exist_ok=True)
    _make_identity_key(config)
    store_session(file.parent / ENV_FILE, session)
    await make_keys(config, session, logging_in.password, keys)
    _replace(file, content)
    say("cli.init.done", file=file, env=file.parent / ENV_FILE, user=Who(session.user))

    tell("cli.init.trying_limit")
    homeserver = Homeserver(session)
    try:
        limit = await find_out(homeserver, admin_token)
    finally:
        await homeserver.close()
    say(f"cli.init.limit.{limit}", user=Who(session.user), url=config.homeserver.url)
    say("cli.init.next", user=Who(session.user))


def _make_identity_key(config: "Config") -> None:
    """Make the key of the identity store where it was asked for; use one that is there already."""
    from bot.cli.identity import make_key_outside
    from bot.config.identity_key import given_key

    path = config.identity_key_file
    if path is None:
        return
    if not path.exists():
        say("cli.init.identity_key", file=path, id=make_key_outside(path, config.data_dir))
    elif wrong := given_key(config, {}).wrong:
        raise Refused(f"cli.identity.wrong.{wrong}", file=path)


def _ask_url(user: str) -> str:
    return asked("homeserver", "--homeserver", default=f"https://{server_of(user)}")


def _url(typed: str) -> str:
    """Add the scheme: people type the name without it."""
    return (typed if "://" in typed else f"https://{typed}").rstrip("/")


def _ask_language(*, yes: bool) -> str:
    from bot.texts.catalog import cli_language

    if yes:
        return cli_language()
    return asked("language", "--language", default=cli_language(), valid=_is_language)


def _is_language(answer: str) -> bool:
    from bot.texts.catalog import LANGUAGES

    return answer in LANGUAGES


def _ask_operators(*, yes: bool) -> list[str]:
    return [] if yes else _words(asked("operators", "--operator", valid=_are_user_ids))


def _ask_inviters(operators: tuple[str, ...], *, yes: bool) -> list[str]:
    """Ask who may bring the bot into rooms; by default the operators, and nobody else."""
    if yes:
        return list(operators)
    return _words(asked("allow_invites", "--allow-invites", default=" ".join(operators), valid=lambda _: True))


def _are_user_ids(answer: str) -> bool:
    return bool(_words(answer)) and all(is_user_id(word) for word in _words(answer))


def _words(answer: str) -> list[str]:
    return answer.replace(",", " ").split()
