"""The place of a deployment's state database: a file in its data directory, or a PostgreSQL server.

Rules kept here:
- Neither name nor password of the server's account is part of what is shown.
- An address is accepted only if the driver takes no part of a password for anything else: an `@` ends the account,
  and a `/` in a password, which the driver takes for the end of the host, has to be written as `%2F`.

Left to others: reading it from the settings (`bot/config/config.py`), opening it (`database.py`).
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs

from pydantic import SecretStr

FILE = "state.sqlite3"
SHARED = "answerable_shared"  # the schema of what all shards of one database share
_HOST = r"(?:\[[^\]@/?\s]*\]|[^:,@/?\[\]\s]*)(?::\d*)?"
_ADDRESS = re.compile(
    rf"postgres(?:ql)?://(?:(?P<account>[^@/\s]*)@)?{_HOST}(?:,{_HOST})*(?:/[^@?\s]*)?(?:\?(?P<query>[^@\s]*))?\Z"
)
_UNKNOWN = "postgresql://?"


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


def rebuilt_beside(place: DatabasePlace) -> DatabasePlace:
    """Return the place on PostgreSQL in which tables are made that will take those of `place`."""
    return replace(place, shard=f"{place.shard}$rebuild")


def is_address(url: str) -> bool:
    """Tell whether a text is the address of a PostgreSQL database that can be used."""
    return _ADDRESS.match(url) is not None and _parts(url) is not None


def account_of(url: str) -> str:
    """Return the name of the account in an address; "" if it has none."""
    return (_parts(url) or {}).get("user", "")


def has_password(url: str) -> bool:
    """Tell whether an address holds a password, or may hold one."""
    found = _ADDRESS.match(url)
    if found is None or _parts(url) is None:
        return True
    asked = parse_qs(found["query"] or "", keep_blank_values=True)
    return ":" in (found["account"] or "") or bool({"password", "sslpassword"} & asked.keys())


def shown(url: str) -> str:
    """Return the address of a PostgreSQL database as people may read it: ``postgresql://host:5432/name``."""
    parts = _parts(url) if is_address(url) else None
    if parts is None:
        return _UNKNOWN
    hosts = (parts.get("host") or parts.get("hostaddr", "")).split(",")
    ports = parts.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    where = ",".join(_host(*each) for each in zip(hosts, ports, strict=False))
    return f"postgresql://{where}" + (f"/{parts['dbname']}" if parts.get("dbname") else "")


def _host(host: str, port: str) -> str:
    named = f"[{host}]" if ":" in host else host
    return f"{named}:{port}" if port else named


def _parts(url: str) -> dict[str, str] | None:
    """Return the parts of an address by their names in the driver; None if it cannot read them.

    Without the driver nothing is known of them.
    """
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        return {"host": "?"}
    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except (ProgrammingError, UnicodeError):  # its words hold what it could not read
        return None
