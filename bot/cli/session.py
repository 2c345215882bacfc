"""The bot's one session: read from where it is stored, or made by one log-in and stored.

Rules kept here:
- The token and the device id stand in `.env` in the folder of `config.toml`, readable by its owner only. With
  PostgreSQL they are in the database as well, sealed: that session counts, on whichever machine the bot runs.
- A password is used once and never written.
- An account is never logged in a second time while the stored session holds, because every log-in makes a new device,
  which cannot read what was encrypted before.

Left to others: logging in (`bot/matrix/login.py`), reading `.env` (`bot/config/env_secrets.py`).
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bot.account.kept_session import KeptSession, keep_session, kept_session
from bot.config.config import Config
from bot.config.env_secrets import ACCESS_TOKEN, ADMIN_TOKEN, DEVICE_ID, PASSWORD
from bot.matrix.errors import Forbidden, LoggedOut
from bot.matrix.login import Session, log_in_with_password, log_in_with_token
from moderation.values.errors import Refused
from moderation.values.notices import Who
from storage.database.fence import Epoch
from storage.journal import disk

_PLAIN = re.compile(r"[A-Za-z0-9_./+=~:-]+\Z")


async def open_session(config: Config, epoch: Epoch | None = None) -> Session:
    """Return the stored session, else a new one made with the password.

    With PostgreSQL, the leader of `epoch` keeps it in the database, where the other machines find it. Raises `Refused`,
    saying what to do, if there is none, or the stored one has ended.
    """
    kept = await _kept(config)
    with suppress(LoggedOut):  # then `.env` may have another one, of a later log-in
        if kept is not None:
            return await stored_session(config, kept.token)
    session = await _own_session(config, kept)
    if epoch is not None:
        await asyncio.to_thread(keep_session, config.place, session, epoch)
    return session


async def present_token(config: Config) -> str | None:
    """Return the token of the stored session, valid or not: the one in the database, else the one in `.env`.

    Raises `Broken`, `WrongKey` or `OSError` if the one in the database cannot be read.
    """
    if kept := await _kept(config):
        return kept.token
    return config.secrets.access_token.get_secret_value() if config.secrets.access_token else None


async def stored_session(config: Config, token: str) -> Session:
    """Return the session of `token`. Raises `LoggedOut`, or `Refused` if it belongs to another account."""
    session = await log_in_with_token(config.homeserver.url, token)
    if session.user != config.user:
        raise Refused("cli.session.other_user", is_of=Who(session.user), user=Who(config.user), file=config.file)
    return session


async def log_in(url: str, user: str, password: str, device_name: str, device: str | None = None) -> Session:
    """Make a new session by password. Raises `Refused` if the homeserver does not accept it."""
    try:
        return await log_in_with_password(url, user, password, device_name, device)
    except Forbidden as error:
        raise Refused("cli.session.wrong_password", user=Who(user), url=url, detail=error.detail) from None


def store_session(env_file: Path, session: Session) -> None:
    """Write token and device id into `.env`; other lines stay, except a password, which is used up."""
    _update(env_file, {ACCESS_TOKEN: session.token, DEVICE_ID: session.device, PASSWORD: None})


def store_admin_token(env_file: Path, token: str) -> None:
    """Write the token of an admin of the homeserver into `.env`; other lines stay."""
    _update(env_file, {ADMIN_TOKEN: token})


def write_private(path: Path, content: str) -> None:
    """Replace the whole file, mode 0600; run as root, give it to the owner of its folder."""
    disk.replace_atomically(path, content.encode(), disk.SECRET_MODE)
    disk.give_to_owner_of(path.parent, path)


async def _kept(config: Config) -> KeptSession | None:
    """Return the session in the database, if it is one of this account."""
    kept = await asyncio.to_thread(kept_session, config.place)
    return kept if kept is not None and kept.user == config.user else None


async def _own_session(config: Config, kept: KeptSession | None) -> Session:
    """Return the session of this machine's `.env`, else a new one of the same device, made with the password."""
    device = config.secrets.device_id or (kept.device if kept else None)  # with it, the device keeps its keys
    token = config.secrets.access_token
    if token is None:
        return await _first_session(config, device)
    try:
        return await stored_session(config, token.get_secret_value())
    except LoggedOut:
        if config.secrets.password is None:
            raise Refused("cli.session.logged_out", env=config.env_file, user=Who(config.user)) from None
        return await _first_session(config, device)


async def _first_session(config: Config, device: str | None) -> Session:
    password = config.secrets.password
    if password is None:
        raise Refused("cli.session.none", env=config.env_file, user=Who(config.user))
    home = config.homeserver
    session = await log_in(home.url, home.user, password.get_secret_value(), home.device_name, device)
    store_session(config.env_file, session)
    return session


def _update(env_file: Path, values: Mapping[str, str | None]) -> None:
    old = env_file.read_text("utf-8").splitlines() if env_file.exists() else []
    ours = re.compile(rf"\s*(?:export\s+)?(?:{'|'.join(values)})\s*=")
    kept = [line for line in old if not ours.match(line)]
    new = [f"{name}={_quoted(value)}" for name, value in values.items() if value is not None]
    write_private(env_file, "\n".join([*kept, *new]) + "\n")


def _quoted(value: str) -> str:
    if _PLAIN.match(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
