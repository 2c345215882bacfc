"""The small stores that are copied with the state tables: the identity store, and the crypto store of each device.

Rules kept here:
- What belongs to one machine is not among them: sessions of the web console, the policy server's own file. What the
  database of a deployment on PostgreSQL has in addition (`account`) is made from files by each start.

Left to others: rows (`copying.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace
from storage.database.small_tables import SmallTable
from storage.identity.tables import ALL as IDENTITY_TABLES
from storage.journal.record_keys import PERSON_KEYS, place_of

MADE_AT_START = "account"  # the small store that only PostgreSQL has


@dataclass(frozen=True, slots=True)
class CopiedStore:
    """A small store and its tables."""

    where: SmallPlace
    tables: tuple[SmallTable, ...]

    def at(self, place: DatabasePlace) -> "CopiedStore":
        """Return the same store at another place."""
        return CopiedStore(SmallPlace(place, self.where.file, self.where.name), self.tables)

    def file_in(self, folder: Path) -> Path:
        """Return its file in a data directory."""
        return folder / self.where.file


@dataclass(frozen=True, slots=True)
class DeviceStores:
    """The crypto stores of all devices: how they are found, and their tables."""

    places_of: Callable[[DatabasePlace], Sequence[SmallPlace]]
    tables: tuple[SmallTable, ...]


def stores_of(place: DatabasePlace, devices: DeviceStores) -> list[CopiedStore]:
    """Return the stores of a deployment. Raises `OSError`."""
    return [identity_store(place), *(CopiedStore(where, devices.tables) for where in devices.places_of(place))]


def identity_store(place: DatabasePlace) -> CopiedStore:
    """Return the store of the keys of persons and of what members proved."""
    return CopiedStore(place_of(place), (PERSON_KEYS, *IDENTITY_TABLES))
