"""The source of the identity store's key: the environment, the service manager, or a file of its own.

Rules kept here:
- It never stands in the configuration, in `.env` or in the data directory, so that a copy of these alone opens nothing.
- A file that others can read is not used.
- What is wrong is told, and the bot still runs and records.
- The first source that is given counts: `ANSWERABLE_IDENTITY_KEY` of the real environment (base64), the credential
  `answerable-identity-key` of systemd, `[identity] key_file`.

Left to others: its use (`storage/identity/store.py`), telling what is wrong (`bot/cli/identity.py`, `check`).
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moderation.values.errors import Invalid, Refused
from storage.identity.sealing import Kek
from storage.journal import disk

from .config import Config

VARIABLE = "ANSWERABLE_IDENTITY_KEY"
CREDENTIALS = "CREDENTIALS_DIRECTORY"
CREDENTIAL = "answerable-identity-key"

Source = Literal["none", "environment", "credential", "file"]
Wrong = Literal["", "missing", "unreadable", "open", "inside", "not_a_key"]


@dataclass(frozen=True, slots=True)
class GivenKey:
    """The key that was given, or what is wrong with it. `path` is the file it is in, if any."""

    source: Source = "none"
    kek: Kek | None = None
    path: Path | None = None
    wrong: Wrong = ""


def given_key(config: Config, environ: Mapping[str, str] = os.environ) -> GivenKey:
    """Return the key of this deployment. Never raises: a fault is part of the answer."""
    if text := environ.get(VARIABLE):
        return _parsed("environment", text, None)
    credential = Path(environ[CREDENTIALS]) / CREDENTIAL if environ.get(CREDENTIALS) else None
    if credential is not None and credential.exists():
        return _read("credential", credential)  # the service manager guards it by its own modes and access lists
    if config.identity_key_file is not None:
        return key_in(config.identity_key_file, config.data_dir)
    return GivenKey()


def key_in(path: Path, data_dir: Path) -> GivenKey:
    """Return the key in a file, which only its owner may read and which must lie outside the data directory."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return GivenKey("file", None, path, "missing")
    except OSError:
        return GivenKey("file", None, path, "unreadable")
    if is_inside(path, data_dir):
        return GivenKey("file", None, path, "inside")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return GivenKey("file", None, path, "open")
    return _read("file", path)


def is_inside(path: Path, data_dir: Path) -> bool:
    """Tell whether a file is in the data directory, links resolved."""
    return path.resolve().is_relative_to(data_dir.resolve())


def make_key(path: Path) -> Kek:
    """Write a new key into a file that does not exist yet, mode 0600. Raises `Refused`."""
    kek = Kek.new()
    try:
        disk.make_folder(path.parent, disk.SECRET_FOLDER_MODE)
        disk.create_once(path, f"{kek.text}\n".encode(), disk.SECRET_MODE)
        disk.give_to_owner_of(path.parent, path)
        disk.sync_directory(path.parent)
    except FileExistsError:
        raise Refused("cli.identity.exists", file=path) from None
    except OSError as error:
        raise Refused("cli.identity.not_written", file=path, why=error.strerror or str(error)) from error
    return kek


def _read(source: Source, path: Path) -> GivenKey:
    try:
        text = path.read_text("ascii")
    except UnicodeDecodeError:
        return GivenKey(source, None, path, "not_a_key")
    except OSError:
        return GivenKey(source, None, path, "unreadable")
    return _parsed(source, text, path)


def _parsed(source: Source, text: str, path: Path | None) -> GivenKey:
    try:
        return GivenKey(source, Kek.parse(text), path)
    except Invalid:
        return GivenKey(source, None, path, "not_a_key")
