"""The place of a deployment's state database: a file in its data directory, or a PostgreSQL server.

Rules kept here:
- Neither name nor password of the server's account is part of what is shown.

Left to others: reading it from the settings (`bot/config/config.py`), opening it (`database.py`).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

FILE = "state.sqlite3"
SHARED = "answerable_shared"  # the schema of what all shards of one database share
_ADDRESS = re.compile(r"postgres(?:ql)?://\S*\Z")


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

    @property
    def schema(self) -> str:
        """The schema of the shard's tables on PostgreSQL."""
        return f"answerable_{self.shard}" if self.shard else "answerable"

    def __str__(self) -> str:
        return shown(self.url.get_secret_value()) if self.url else str(self.file)


def is_address(url: str) -> bool:
    """Tell whether a text is the address of a PostgreSQL database."""
    return _ADDRESS.match(url) is not None


def has_password(url: str) -> bool:
    """Tell whether an address holds a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool(parts.password) or bool({"password", "sslpassword"} & parse_qs(parts.query).keys())


def shown(url: str) -> str:
    """Return the address of a PostgreSQL database as people may read it: ``postgresql://host:5432/name``."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "postgresql://?"
    hosts = parts.netloc.rpartition("@")[2] or ",".join(parse_qs(parts.query).get("host", []))
    return f"postgresql://{hosts}{parts.path}"
