"""`answerable init`: make a configuration that works, from nothing, in one go.

Rules kept here:
- Nothing is written before the log-in has worked.
- A mistake at the terminal ends nothing: what was wrong is said, and the question is asked again.
- An existing file is not changed without ``--force``. With it, the answers go into the file, all else stays, and the
  file as it was is kept as `config.toml.bak`.

Left to others: the questions (`questions.py`), the log-in (`bot/cli/logging_in.py`), all that is done after it
(`set_up.py`), the file's content (`config_file.py`).
"""

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.keys.perform import must_be_new
from bot.cli.logging_in import logged_in
from bot.cli.terminal.ask import asked, credential, secret_from_stdin
from bot.cli.terminal.options import DEFAULT_CONFIG, ConfigFile, new_app
from bot.cli.terminal.output import text
from moderation.values.errors import Refused
from moderation.values.ids import is_user_id

from .config_file import Answers, config_text, updated
from .encryption_keys import KeyChoice
from .questions import Questions, must_be_usable
from .set_up import AdminToken, SettingUp

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
    keep_admin_token: Annotated[bool, _option("--keep-admin-token", "keep_admin_token")] = False,
    operator: Annotated[list[str] | None, _option("--operator", "operator")] = None,
    allow_invites: Annotated[list[str] | None, _option("--allow-invites", "allow_invites")] = None,
    language: Annotated[str, _option("--language", "language")] = "",
    name: Annotated[str, _option("--name", "name")] = "",
    rule: Annotated[list[str] | None, _option("--rule", "rule")] = None,
    word: Annotated[list[str] | None, _option("--word", "word")] = None,
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
    there = _present(file, force=force)
    must_be_new(recovery_key_out)
    must_be_usable(user, operator or (), allow_invites or (), language, rule or (), word or ())
    questions = Questions(yes)
    user = questions.user(user)
    if not questions.can_ask:
        questions.operators(operator or ())  # an option that is missing is named before the network is asked
    answers = Answers(
        url=questions.homeserver(homeserver, user),
        user=user,
        data_dir=data_dir,
        language=language or questions.language(),
        operators=(operators := questions.operators(operator or ())),
        allow_invites=questions.inviters(allow_invites or (), operators),
        rules=questions.rules(there, rule or (), word or ()),
        identity_key=questions.identity_key(identity_key, file.parent / data_dir),
    )
    name = questions.name(name)
    contents = _Contents(file, there, answers)
    contents.checked(user)
    by_option = password_stdin or password_env or token_stdin or not questions.can_ask
    given = credential(password_stdin, password_env, token_stdin) if by_option else None  # a secret a line, in order
    recovery_key = secret_from_stdin("--recovery-key-stdin") if recovery_key_stdin else ""
    admin = AdminToken(secret_from_stdin("--admin-token-stdin") if admin_token_stdin else "", keep=keep_admin_token)
    session, password = logged_in(lambda account: contents.checked(account)[0], user, given, other=_other_account)
    config, content = contents.checked(session.user)
    keys = KeyChoice(no_keys, reset_keys, yes, recovery_key, recovery_key_out)
    asyncio.run(SettingUp(config, content, session, questions).run(password, keys, admin, name))


def _present(file: Path, *, force: bool) -> str:
    """Return what stands in the configuration. Raises `Refused` if it may not be changed, or not be written."""
    if file.exists() and not force:
        raise Refused("cli.init.exists", file=file)
    if not os.access(next(folder for folder in file.parents if folder.exists()), os.W_OK | os.X_OK):
        raise Refused("cli.init.not_writable", folder=file.parent)
    return file.read_text("utf-8") if file.exists() else ""


@dataclass(frozen=True, slots=True)
class _Contents:
    """The content of the configuration, made from the answers; of one that is there, all else stays."""

    file: Path
    there: str
    answers: Answers

    def checked(self, user: str) -> "tuple[Config, str]":
        """Return the configuration with the answers and this account.

        Raises `ConfigError` for an answer that could not be a setting, and `Refused` if the present file cannot be
        changed by this program, before anything happens.
        """
        from bot.config.config import parse_config

        answers = replace(self.answers, user=user)
        content = updated(self.there, answers) if self.there else config_text(answers)
        if content is None:
            raise Refused("cli.init.by_hand", file=self.file)
        return parse_config(self.file, content), content


def _other_account(tried: str) -> str:
    return asked("user", "--user", default=tried, valid=is_user_id)
