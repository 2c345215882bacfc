"""Questions at a terminal, and secrets from standard input.

Rules kept here:
- Without a terminal nothing is asked: the default is taken, or the option that would answer is named.
- A secret is never echoed, never an argument of a process, and never shown again.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from getpass import getpass

import typer

from moderation.values.errors import Invalid, Refused

from .output import tell, text


def asked(key: str, option: str, *, default: str | None = None, valid: Callable[[str], bool] = bool) -> str:
    """Return the answer to the question `key`; an empty one means `default`. Asks again until it is valid."""
    if default and not sys.stdin.isatty() and valid(default):
        return default
    _need_terminal(option)
    hint = f" [{default}]" if default else ""
    while True:
        sys.stderr.write(f"{text(f'cli.init.ask.{key}')}{hint}: ")
        sys.stderr.flush()
        answer = _line() or default or ""
        if valid(answer):
            return answer
        tell(f"cli.init.invalid.{key}")


def given(key: str, option: str, value: str, valid: Callable[[str], bool]) -> str:
    """Return the value of an option; empty if it was not given. Raises `Invalid`, naming the option, if it is wrong."""
    if value and not valid(value):
        raise Invalid(f"{option} {value}: {text(f'cli.init.invalid.{key}')}")
    return value


def asked_secret(key: str, option: str) -> str:
    """Ask for a secret at the terminal, without echo."""
    _need_terminal(option)
    while True:
        if secret := getpass(f"{text(f'cli.init.ask.{key}')}: ", stream=sys.stderr):
            return secret


def asked_secret_or_nothing(key: str) -> str:
    """Ask once for a secret, without echo; empty if nothing is typed."""
    return getpass(f"{text(f'cli.init.ask.{key}')} {text('cli.init.or_nothing')}: ", stream=sys.stderr)


def asked_yes(key: str, **fields: object) -> bool:
    """Ask the question `key` at the terminal; without an answer it is a no."""
    return typer.confirm(text(key, **fields), default=False, err=True)


def make_sure(key: str, *, yes: bool, left: str = "cli.erase.left", **fields: object) -> None:
    """Ask the question `key` unless it was answered by an option. Raises `Refused` with the text `left` for a no."""
    if not yes and not typer.confirm(text(key, **fields), err=True):
        raise Refused(left)


def secret_from_stdin(option: str) -> str:
    """Return the next line of standard input. Raises `Invalid` if there is none."""
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise Invalid(text("cli.init.stdin_empty", option=option))
    return secret


def secret_from_env(name: str) -> str:
    """Return a secret from the environment. Raises `Invalid` if the variable is not set."""
    if secret := os.environ.get(name):
        return secret
    raise Invalid(text("cli.init.env_empty", name=name))


@dataclass(frozen=True, slots=True)
class Credential:
    """A password or an access token; `repr` shows neither."""

    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def credential(password_stdin: bool, password_env: str, token_stdin: bool) -> Credential:
    """Return what to log in with, from where the options say; without one, ask for the password."""
    if sum((password_stdin, bool(password_env), token_stdin)) > 1:
        raise Invalid(text("cli.init.one_credential"))
    if token_stdin:
        return Credential(token=secret_from_stdin("--token-stdin"))
    if password_stdin:
        return Credential(secret_from_stdin("--password-stdin"))
    if password_env:
        return Credential(secret_from_env(password_env))
    return Credential(asked_secret("password", "--password-stdin"))


def _need_terminal(option: str) -> None:
    if not sys.stdin.isatty():
        raise Invalid(text("cli.init.no_terminal", option=option))


def _line() -> str:
    line = sys.stdin.readline()
    if not line:  # the end of input, as by Ctrl-D
        raise KeyboardInterrupt
    return line.strip()
