"""Secrets, which come from the environment or from `.env` in the folder of the file; the environment wins."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import Field, SecretStr

from moderation.policy import StrictSettings

from .alerts import ALERTS_SECRET
from .antispam import ANTISPAM_TOKEN
from .database import DATABASE_URL
from .errors import read_file, unreadable
from .oidc import SECRET_PREFIX
from .shards import variable_of

ENV_FILE = ".env"
PASSWORD = "ANSWERABLE_PASSWORD"  # noqa: S105 - the name of a variable
ACCESS_TOKEN = "ANSWERABLE_ACCESS_TOKEN"  # noqa: S105 - likewise
DEVICE_ID = "ANSWERABLE_DEVICE_ID"
EMAIL_PASSWORD = "ANSWERABLE_EMAIL_PASSWORD"  # noqa: S105 - likewise
ADMIN_TOKEN = "ANSWERABLE_ADMIN_TOKEN"  # noqa: S105 - likewise


class Secrets(StrictSettings):
    """Secrets from the environment or from `.env`, shown by nothing, not even `repr`."""

    password: SecretStr | None = None
    access_token: SecretStr | None = None
    device_id: str | None = None
    email_password: SecretStr | None = None
    admin_token: SecretStr | None = None
    alerts: SecretStr | None = None
    antispam: SecretStr | None = None
    database: SecretStr | None = None
    oidc: dict[str, SecretStr] = Field(default_factory=dict)  # variable -> secret


def read_secrets(env_file: Path, environ: Mapping[str, str] = os.environ, shard: str = "") -> Secrets:
    """Return the secrets; an empty value counts as missing. Those of an account are the shard's own."""
    stored = _stored(env_file)
    of_account = _stored(env_file.with_name(f"{env_file.name}.{shard}")) if shard else stored

    def value(name: str) -> Any:
        return environ.get(name) or stored.get(name) or None

    def own(name: str) -> Any:
        return environ.get(variable_of(name, shard)) or of_account.get(name) or None

    oidc = {name: value(name) for name in (*environ, *stored) if name.startswith(SECRET_PREFIX) and value(name)}
    return Secrets(
        password=own(PASSWORD),
        access_token=own(ACCESS_TOKEN),
        device_id=own(DEVICE_ID),
        email_password=value(EMAIL_PASSWORD),
        admin_token=value(ADMIN_TOKEN),
        alerts=value(ALERTS_SECRET),
        antispam=value(ANTISPAM_TOKEN),
        database=value(DATABASE_URL),
        oidc=oidc,
    )


def _stored(env_file: Path) -> dict[str, str | None]:
    try:
        # No interpolation: a password may hold a dollar sign.
        return dotenv_values(env_file, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(env_file, error) from None


def database_secret(env_file: Path, environ: Mapping[str, str]) -> Secrets:
    """Return the address of the database, from its own line alone; of a file that only the bot may read, nothing."""
    found: object = environ.get(DATABASE_URL) or None
    if found is None and os.access(env_file, os.R_OK):
        lines = [line for line in read_file(env_file).splitlines() if DATABASE_URL.encode() in line]
        stream = io.StringIO(b"\n".join(lines).decode("utf-8", "replace"))
        found = dotenv_values(stream=stream, interpolate=False).get(DATABASE_URL) or None
    return Secrets(database=found)  # type: ignore[arg-type]
