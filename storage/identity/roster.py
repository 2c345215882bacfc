"""The member list: people known to the operator, each sealed, with a one-time code to prove it is them.

Rules kept here:
- Identifiers, names and addresses are nowhere in plain, and of a code only its HMAC is kept.
- A code belongs for good to the first account that gives it, and gives that account the same answer again.
- Importing writes only what changed, so an import that was cut off continues when it is repeated.
- Other writers of this database wait for some thousand rows at most.

All of it raises `Locked` while the store cannot be opened. It is synchronous, to be called in worker threads. Left to
others: reading the file (`bot/admin/roster_csv.py`), who may ask (`bot/admin/roster.py`), the claim that follows
(`store.py`).
"""

import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from moderation.values.ids import UserId
from storage.database.small_store import SmallStore

from .blind_index import normalised
from .sealing import joined, padded, seal, unpadded, unseal
from .store import IdentityStore

METHOD = "roster"
_OWNER = "roster"  # no person has this name
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # no letter that looks like another
_GROUPS, _GROUP = 4, 4  # 16 letters: 78 bits
_STEP = 2_000  # lines between two reports of progress
_AT_ONCE = 10_000  # rows in one transaction: less than a second

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody on the list. `level` 0: the method's level; `expires` 0: as long as the method's proofs hold."""

    identifier: str = field(repr=False)
    name: str = field(repr=False, default="")
    email: str = field(repr=False, default="")
    level: int = 0
    expires: int = 0


@dataclass(frozen=True, slots=True)
class ListedStatus:
    """An entry, and the state of its code."""

    listed: Listed
    code_until: int  # 0: no code was written
    used: int  # when it was used; 0: not yet


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes by importing a list, by identifier."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    same: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """A code that was given by the account it belongs to now."""

    listed: Listed
    at: int


class Roster:
    """The whole list."""

    def __init__(self, store: IdentityStore) -> None:
        self._store = store

    def load(
        self,
        listed: Sequence[Listed],
        untouched: Iterable[str] = (),
        *,
        remove_gone: bool = False,
        dry_run: bool = False,
        progress: Progress = lambda _done, _of: None,
    ) -> Changes:
        """Import a whole list.

        People whose line was refused (`untouched`) do not count as gone; people who are gone stay unless `remove_gone`.
        """
        with self._open() as (db, key):
            before = {bytes(mark): bytes(sealed) for mark, sealed in db.execute("SELECT mark, sealed FROM roster")}
        # Compared and sealed outside: other writers of this database must not wait for it.
        new: dict[bytes, Listed] = {}
        changed: dict[bytes, Listed] = {}
        seen = {_mark(key, identifier) for identifier in untouched}
        for number, each in enumerate(listed, 1):
            mark = _mark(key, each.identifier)
            seen.add(mark)
            if (sealed := before.get(mark)) is None:
                new[mark] = each
            elif _opened(key, mark, sealed) != each:
                changed[mark] = each
            if number % _STEP == 0 or number == len(listed):
                progress(number, len(listed))
        gone = {mark: _opened(key, mark, sealed).identifier for mark, sealed in before.items() if mark not in seen}
        if not dry_run:
            # The state of a code stays: a changed entry is still the same person.
            insert = (
                "INSERT INTO roster (mark, sealed) VALUES (?, ?)"
                " ON CONFLICT (mark) DO UPDATE SET sealed = excluded.sealed"
            )
            self._write(
                insert,
                [
                    (mark, _sealed(key, mark, each))
                    for mark, each in sorted((new | changed).items(), key=lambda row: row[0])
                ],
            )
            self._write("DELETE FROM roster WHERE mark = ?", [(mark,) for mark in gone] if remove_gone else [])
        return Changes(
            new=tuple(each.identifier for each in new.values()),
            changed=tuple(each.identifier for each in changed.values()),
            gone=tuple(sorted(gone.values())),
            same=len(listed) - len(new) - len(changed),
        )

    def all(self) -> Iterator[ListedStatus]:
        """Return everybody, by identifier."""
        with self._open() as (db, key):
            rows = db.execute("SELECT mark, sealed, code_until, used FROM roster").fetchall()
        found = [_standing(key, *row) for row in rows]
        return iter(sorted(found, key=lambda each: each.listed.identifier))

    def remove(self, identifier: str) -> ListedStatus | None:
        """Remove somebody from the list. Returns the entry, if there was one."""
        with self._open() as (db, key):
            mark = _mark(key, identifier)
            query = "SELECT mark, sealed, code_until, used FROM roster WHERE mark = ?"
            row = db.execute(query, (mark,)).fetchone()
            db.execute("DELETE FROM roster WHERE mark = ?", (mark,))
            return _standing(key, *row) if row else None

    def codes(
        self, now_ms: int, until_ms: int, only: Iterable[str], deliver: Callable[[Sequence[tuple[Listed, str]]], None]
    ) -> int:
        """Make new codes for everybody without a used or valid one, or for those named, whatever they have.

        `deliver` gets them first: if it fails, everything stays as it was. Returns how many were made.
        """
        with self._open() as (db, key):
            named: list[tuple[object]] = [(_mark(key, each),) for each in only]
            where = "mark = ?" if named else "used = 0 AND code_until <= ?"
            query = f"SELECT mark, sealed FROM roster WHERE {where}"  # noqa: S608 - words of this file
            rows = [row for value in named or [(now_ms,)] for row in db.execute(query, value).fetchall()]
        made = [(mark, _opened(key, mark, sealed), new_code()) for mark, sealed in rows]
        if made:
            deliver(sorted(((listed, code) for _, listed, code in made), key=lambda each: each[0].identifier))
        values = [(_code(key, code), until_ms, mark) for mark, _, code in made]
        update = "UPDATE roster SET code = ?, code_until = ?, used = 0, used_by = NULL WHERE mark = ?"
        self._write(update, values)
        return len(made)

    def use(self, code: str, user: UserId, now_ms: int) -> Used | None:
        """Return the entry of this code, which from now on belongs to `user`.

        Returns None if the code is nobody's or another account's, or its time is over.
        """
        with self._open() as (db, key):
            query = "SELECT mark, sealed, code_until, used, used_by FROM roster WHERE code = ?"
            row = db.execute(query, (_code(key, code),)).fetchone()
            if row is None:
                return None
            found, theirs = _standing(key, *row[:4]), _account(key, row[0], user)
            if found.used:
                return Used(found.listed, found.used) if hmac.compare_digest(row[4], theirs) else None
            if found.code_until <= now_ms:
                return None
            values = (now_ms, theirs, row[0])
            db.execute("UPDATE roster SET used = ?, used_by = ? WHERE mark = ?", values)
            return Used(found.listed, now_ms)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Write some rows at a time."""
        for start in range(0, len(rows), _AT_ONCE):
            with self._open() as (db, _):
                db.executemany(statement, rows[start : start + _AT_ONCE])

    def _open(self) -> AbstractContextManager[tuple[SmallStore, bytes]]:
        return self._store.apart(_OWNER)


def new_code() -> str:
    """Return a code in groups, easy to copy: ``K7QX-2MPD-...``."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def is_code(text: str) -> bool:
    """Return whether a text has the form of a code, however it was typed."""
    plain = _plain(text)
    return len(plain) == _GROUPS * _GROUP and set(plain) <= set(_LETTERS)


def _plain(code: str) -> str:
    return "".join(letter for letter in code.upper() if letter.isalnum())


def _mark(key: bytes, identifier: str) -> bytes:
    return hmac.digest(key, joined("identifier", normalised(METHOD, identifier)), "sha256")


def _code(key: bytes, code: str) -> bytes:
    return hmac.digest(key, joined("code", _plain(code)), "sha256")


def _sealed(key: bytes, mark: bytes, listed: Listed) -> bytes:
    values = [listed.identifier, listed.name, listed.email, listed.level, listed.expires]
    return seal(key, padded(json.dumps(values)), "roster", mark.hex())


def _opened(key: bytes, mark: bytes, sealed: bytes) -> Listed:
    return Listed(*json.loads(unpadded(unseal(key, sealed, "roster", mark.hex()))))


def _standing(key: bytes, mark: bytes, sealed: bytes, until: int, used: int) -> ListedStatus:
    return ListedStatus(_opened(key, mark, sealed), until, used)


def _account(key: bytes, mark: bytes, user: UserId) -> bytes:
    """Return a mark of the account that used a code: it can be compared, but not read."""
    return hmac.digest(key, joined("account", mark.hex(), user), "sha256")
