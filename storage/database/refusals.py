"""The words for a PostgreSQL server that does not do its part: it cannot be reached, is full, read-only or too slow.

Rules kept here:
- One plain line says what is wrong and what to do; it names the database, never an account or a password.
- An error that only a defect of ours can cause is no refusal.
- The driver has no SQLSTATE for a connection that cannot be made. Then the words of libpq, or of a server that speaks
  English, decide; a server that says anything else counts as one that refuses, not as one that does not answer.
- The driver is not loaded for this: without PostgreSQL there is none.

Left to others: SQLite's failures (`sqlite_refused.py`), ending (`bot/cli/terminal/disk_errors.py`).
"""

import re
from math import inf

from moderation.values.errors import Invalid, Refused

from .place import DatabasePlace, account_of

# SQLSTATE, or its first two characters -> a text of the message files, below ``database.``.
_STATES = {
    "28": "password",  # wrong password, or pg_hba.conf has no line for this
    "3D000": "none",
    "42501": "rights",
    "25006": "read_only",
    "53100": "full",
    "53200": "memory",
    "53300": "crowded",
    "53": "full",
    "55P03": "slow",  # a lock was not free in time
    "57014": "slow",  # a statement took too long
    "25P03": "slow",  # a transaction waited too long
    "57P": "stopped",  # shut down, crashed, or starting
    "58": "broken",  # its system reports an error
    "XX001": "broken",
    "XX002": "broken",
}
# Parts of what is said, in lower case, of a connection that cannot be made; the first that fits decides.
_WORDS = (
    ("pg_hba.conf", "password"),
    ("certificate", "certificate"),
    ("does not support ssl", "certificate"),
    ("unknown ca", "certificate"),
    ("password", "password"),
    ('role "', "password"),
    ("startup parameter", "pooler"),
    ("the database system", "stopped"),
    ("too many", "crowded"),
    ("connection slots", "crowded"),
    ("does not exist", "none"),
)
_OF_SERVER = re.compile(r"[^\s:]:  \S")  # its severity, in its language, ends so
_WAITED_FOR = frozenset({"unreachable", "stopped", "crowded", "read_only"})  # pass by themselves
_DENIED_S = 60.0  # a server may be starting, and say so in any language
_LONGEST = 200  # characters of what the server says
_ACCOUNT = re.compile(r'(?<=\b(?:user|role) ")[^"]*(?=")')
_HIDDEN = "..."


class DatabaseRefused(Refused):
    """The server, or what it holds, cannot be used; the text says why and what to do."""

    @property
    def patience_s(self) -> float:
        """Return for how many seconds waiting may help: 0, infinity or a minute."""
        why = self.key.removeprefix("database.")
        return inf if why in _WAITED_FOR else _DENIED_S if why == "denied" else 0.0


class NewerDatabase(DatabaseRefused, Invalid):
    """A newer version of this program made the tables. As with wrong settings, no new start mends that."""


def refused(why: str, place: DatabasePlace | str = "", **fields: object) -> DatabaseRefused:
    """Return a refusal with the text ``database.<why>``."""
    return DatabaseRefused(f"database.{why}", where=str(place), **fields)


def refusal_of(error: BaseException | None, place: DatabasePlace | str = "") -> DatabaseRefused | None:
    """Return what an error of the driver, or one around it, says to a person; None if it is a defect of ours."""
    while error is not None and not is_of_driver(error):
        if isinstance(error, DatabaseRefused):
            return error
        error = getattr(error, "orig", None) or error.__cause__
    if error is None:
        return None
    why = _why(error)
    return refused(why, place, said=said(error, place)) if why else None


def is_of_driver(error: BaseException) -> bool:
    """Tell whether an error was raised by PostgreSQL's driver."""
    return any(base.__module__.partition(".")[0] == "psycopg" for base in type(error).__mro__)


def _why(error: BaseException) -> str | None:
    state = getattr(error, "sqlstate", None)
    if state:
        return next((_STATES[part] for part in (state, state[:3], state[:2]) if part in _STATES), None)
    names = {base.__name__ for base in type(error).__mro__}
    return _of_connecting(str(error)) if "OperationalError" in names or "InterfaceError" in names else None


def _of_connecting(said: str) -> str:
    """Return why a connection could not be made, or has ended, by the words of libpq or of the server."""
    small = said.casefold()
    for words, why in _WORDS:
        if words in small:
            return why
    return "denied" if _OF_SERVER.search(said) else "unreachable"


def said(error: BaseException, place: DatabasePlace | str = "") -> str:
    """Return the first line of what the driver says, without the name of the account."""
    line = next((each.strip() for each in str(error).splitlines() if each.strip()), type(error).__name__)
    line = _ACCOUNT.sub(_HIDDEN, line)
    if isinstance(place, DatabasePlace) and place.url and (account := account_of(place.url.get_secret_value())):
        line = re.sub(rf"(?<=[\"'»„“«‘]){re.escape(account)}(?=[\"'«“”»’])", _HIDDEN, line)
    return line[:_LONGEST]
