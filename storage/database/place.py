"""The place of a deployment's state database: a file in its data directory, or a PostgreSQL server.

Left to others: reading it from the settings (`bot/config/config.py`), opening it (`database.py`).
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

FILE = "state.sqlite3"


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """The place of one state database. Without `url` it is SQLite's file in the data directory."""

    data_dir: Path
    url: SecretStr | None = None  # of PostgreSQL, with its password
    shard: str = ""  # "": the only one of the deployment

    @property
    def file(self) -> Path:
        """The file of the database if it is SQLite's."""
        return self.data_dir / FILE

    def __str__(self) -> str:
        return str(self.file)
