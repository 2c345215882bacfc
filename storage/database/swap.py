"""Tables made again on PostgreSQL that take the place of the old ones.

Rules kept here:
- They are made in a schema next to the old one, and take its name in one transaction: a crash at any instant leaves
  the old tables or the new ones under the name, never none.
- The old ones stay, under a name that tells the day.
- Only the leader of the log does it, and drops what a former one has left half made.

Left to others: filling them (`bot/cli/logs/rebuild.py`), files of SQLite (likewise).
"""

import datetime as dt

from .fence import Epoch
from .place import DatabasePlace, rebuilt_beside
from .postgresql import changing, connected

_NAMES = "SELECT nspname FROM pg_catalog.pg_namespace WHERE starts_with(nspname, %s)"


def fresh_beside(place: DatabasePlace, epoch: Epoch) -> DatabasePlace:
    """Return the place in which new tables are made, after removing what an earlier attempt has left there.

    Raises `Superseded` or `DatabaseRefused`.
    """
    fresh = rebuilt_beside(place)
    with changing(place, epoch) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{fresh.schema}" CASCADE')
    return fresh


def drop_half_made(place: DatabasePlace, epoch: Epoch) -> bool:
    """Drop the tables that a killed rebuild left; tells whether there were any. Raises as `fresh_beside` does.

    Nobody fills them any more: a rebuild does it in the epoch that it leads, and the next one has begun.
    """
    half = rebuilt_beside(place).schema
    with connected(place) as connection:
        if half not in {str(name) for (name,) in connection.execute(_NAMES, [half])}:
            return False
    fresh_beside(place, epoch)
    return True


def take_place(place: DatabasePlace, fresh: DatabasePlace, now_ms: int, epoch: Epoch) -> str | None:
    """Give the name of the tables to the new ones. Returns the name of the old ones' schema, if there were any.

    Raises `Superseded` or `DatabaseRefused`.
    """
    with changing(place, epoch) as connection:
        kept = _free_name(place, now_ms, {str(name) for (name,) in connection.execute(_NAMES, [place.schema])})
        if kept is not None:
            connection.execute(f'ALTER SCHEMA "{place.schema}" RENAME TO "{kept}"')
        connection.execute(f'ALTER SCHEMA "{fresh.schema}" RENAME TO "{place.schema}"')
        return kept


def _free_name(place: DatabasePlace, now_ms: int, there: set[str]) -> str | None:
    """Return a name for the old schema; None if there is no old one."""
    if place.schema not in there:
        return None
    day = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).strftime("%Y-%m-%d")
    name, number = f"{place.schema}$before-rebuild-{day}", 2
    while name in there:
        name, number = f"{place.schema}$before-rebuild-{day}-{number}", number + 1
    return name
