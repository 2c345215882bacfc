"""Sessions of the console: who is behind a cookie.

An operator gets in by a link that `answerable console` prints at the terminal of the bot's own account, or of root.
Links and sessions of operators are files in ``<data_dir>/console/``, named after the SHA-256 of what the browser holds.

Rules kept here:
- What the browser holds is kept nowhere. The hash of 32 random bytes cannot be guessed, so it is looked up by name.
- A link works once and for five minutes. A session ends after an hour without a request, and after twelve hours.
- Where operators also log in at an issuer (`[console] operators_need`), no link or session without that counts.
- A time that lies in the future counts as over: a clock that was set back opens nothing.

Left to others: what somebody may see (`rights.py`), cookies (`visit.py`).
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from bot.runtime.tokens import hashed, new_token
from moderation.values.durations import HOUR_MS, MS_PER
from moderation.values.ids import NO_USER, UserId
from storage.journal import disk

FOLDER = "console"
LINK_MS = 5 * MS_PER["m"]
IDLE_MS = HOUR_MS
LONGEST_MS = 12 * HOUR_MS

_HASH = re.compile(r"[0-9a-f]{64}\Z")
_TOUCHED_EACH_MS = MS_PER["m"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a session.

    An operator is known by an account of this machine (`by`), and acts as the operator `user` of the configuration
    ("": reads only). A person is known by their Matrix id in both.
    """

    kind: Literal["operator", "person"]
    key: str  # the hash of the session
    by: str
    user: UserId
    since_ms: int


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """A session of an operator, as it is listed."""

    visitor: Visitor
    used_ms: int
    issuer: str


@dataclass(frozen=True, slots=True)
class _Said:
    """The content of a file: for whom a link or session is, and since when."""

    by: str
    user: UserId
    at: int
    issuer: str = ""  # at which the operator logged in, too


class LastUsed:
    """The times at which sessions of people were last used, and those that are over.

    It is kept in memory: after a restart of the console a session counts as just used. The bot keeps when it ends.
    """

    def __init__(self) -> None:
        self._used_ms: dict[str, int] = {}
        self._over: set[str] = set()

    def use(self, key: str, now_ms: int) -> bool:
        """Note that a session is used. Return False if it is over, or was not used for an hour and so is over now."""
        last_ms = self._used_ms.get(key, now_ms)
        if now_ms - last_ms > IDLE_MS:
            self.end(key)
        if key in self._over:
            return False
        self._used_ms[key] = now_ms
        return True

    def end(self, key: str) -> None:
        """Note that a session is over."""
        self._used_ms.pop(key, None)
        self._over.add(key)


def make_link(data_dir: Path, by: str, user: UserId, now_ms: int) -> str:
    """Keep a link for an operator; return its token. Raises `OSError`."""
    folder = make_folder(data_dir, "links")
    for path in _ours(folder):
        if not _is_young(_read(path), now_ms, LINK_MS):
            path.unlink(missing_ok=True)
    token = new_token()
    _write(data_dir, folder / hashed(token), _Said(by, user, now_ms))
    return token


def whose_link(data_dir: Path, token: str, now_ms: int) -> str:
    """Return whom a link lets in, without using it: an operator's id or an account here; "" if it cannot be used."""
    said = _read(data_dir / FOLDER / "links" / (hashed(token) or "-"))
    return (said.user or said.by) if said is not None and _is_young(said, now_ms, LINK_MS) else ""


def named_operator(data_dir: Path, token: str, now_ms: int) -> UserId:
    """Return the operator that a link names; "" if it names none or cannot be used."""
    said = _read(data_dir / FOLDER / "links" / (hashed(token) or "-"))
    return said.user if said is not None and _is_young(said, now_ms, LINK_MS) else NO_USER


def use_link(data_dir: Path, token: str, now_ms: int, *, issuer: str = "", operator: UserId = NO_USER) -> str:
    """Use up a link, begin a session and return its token; "" if the link cannot be used. Raises `OSError`.

    `operator`: who logged in at the `issuer`, and acts in this session.
    """
    path = data_dir / FOLDER / "links" / (hashed(token) or "-")
    said = _read(path)
    try:
        path.unlink()  # of two who do it at once, one fails
    except FileNotFoundError:
        return ""
    if said is None or not _is_young(said, now_ms, LINK_MS):
        return ""
    session = new_token()
    begun = _Said(said.by, operator or said.user, now_ms, issuer)
    _write(data_dir, make_folder(data_dir, "sessions") / hashed(session), begun)
    return session


def operator_of(data_dir: Path, token: str, now_ms: int, *, need: str | None = None) -> Visitor | None:
    """Return the operator whose session this is, if it has not ended, and note that it was used.

    `need`: the issuer at which they must have logged in; None: at none.
    """
    key = hashed(token)
    path = data_dir / FOLDER / "sessions" / (key or "-")
    found = _session(path, now_ms)
    if found is None or (need is not None and found.issuer != need):
        return None
    if now_ms - found.used_ms > _TOUCHED_EACH_MS:
        _set_time(path, now_ms)
    return found.visitor


def end_session(data_dir: Path, key: str) -> bool:
    """End the session of an operator; tell whether there was one."""
    path = data_dir / FOLDER / "sessions" / (key if _HASH.match(key) else "-")
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def operator_sessions(data_dir: Path, now_ms: int) -> list[OperatorSession]:
    """Return the sessions of operators that have not ended, oldest first; remove the others."""
    return sorted(_sessions(data_dir, now_ms), key=lambda each: each.visitor.since_ms)


def _sessions(data_dir: Path, now_ms: int) -> Iterator[OperatorSession]:
    for path in _ours(make_folder(data_dir, "sessions")):
        if (found := _session(path, now_ms)) is not None:
            yield found
        else:
            path.unlink(missing_ok=True)


def _session(path: Path, now_ms: int) -> OperatorSession | None:
    said = _read(path)
    if said is None or not _is_young(said, now_ms, LONGEST_MS):
        return None
    try:
        used_ms = path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return None
    if now_ms - used_ms > IDLE_MS:
        return None
    return OperatorSession(Visitor("operator", path.name, said.by, said.user, said.at), used_ms, said.issuer)


def make_folder(data_dir: Path, name: str = "") -> Path:
    """Return the folder of the console, or one in it; made, for the owner of the data alone, if it is not there."""
    folder = data_dir / FOLDER / name
    if folder.is_symlink() or folder.parent.is_symlink():  # run as root, we would write where it leads
        raise NotADirectoryError(errno.ENOTDIR, "a link in place of a folder", folder)
    for each in dict.fromkeys((data_dir / FOLDER, folder)):
        if not each.exists():
            disk.make_folder(each, disk.SECRET_FOLDER_MODE)
            disk.give_to_owner_of(data_dir, each)
    return folder


def _write(data_dir: Path, path: Path, said: _Said) -> None:
    disk.create_once(path, orjson.dumps(said), disk.SECRET_MODE)
    disk.give_to_owner_of(data_dir, path)
    _set_time(path, said.at)


def _ours(folder: Path) -> list[Path]:
    """Return the files of a folder that are named after a hash."""
    return [path for path in folder.iterdir() if _HASH.match(path.name)]


def _set_time(path: Path, now_ms: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was ended meanwhile
        os.utime(path, ns=(now_ms * 1_000_000, now_ms * 1_000_000))


def _read(path: Path) -> _Said | None:
    try:
        said = orjson.loads(path.read_bytes())
        issuer = str(said.get("issuer", ""))
        return _Said(str(said["by"]), UserId(str(said["user"])), int(said["at"]), issuer)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_young(said: _Said | None, now_ms: int, longest_ms: int) -> bool:
    return said is not None and 0 <= now_ms - said.at <= longest_ms
