"""Settings of the state database.

  [database]   the address of a PostgreSQL database; with a password it is ANSWERABLE_DATABASE_URL in the environment or
               in `.env`, which counts first

Rules kept here:
- Without an address the state is a file in the data directory.
- No password stands in the file, and no address is shown when it is refused.

Left to others: opening it (`storage/database/`).
"""

from typing import Annotated

from pydantic import AfterValidator, SecretStr
from pydantic_core import PydanticCustomError

from moderation.policy import StrictSettings
from moderation.values.errors import Invalid
from storage.database.place import has_password, is_address

DATABASE_URL = "ANSWERABLE_DATABASE_URL"


def _url(text: str) -> str:
    if not is_address(text):
        raise PydanticCustomError("database_url", "not the address of a PostgreSQL database")
    if has_password(text):
        raise PydanticCustomError("database_password", "a password")
    return text


class DatabaseSettings(StrictSettings):
    """The place of the state tables."""

    url: Annotated[str, AfterValidator(_url)] | None = None


def database_url(settings: DatabaseSettings, secret: SecretStr | None) -> SecretStr | None:
    """Return the address in use. Raises `Invalid` if the one from the environment is none."""
    if secret is None:
        return SecretStr(settings.url) if settings.url else None
    if not is_address(secret.get_secret_value()):
        from bot.texts.catalog import Catalog, cli_language

        raise Invalid(Catalog.load().text(cli_language(), "config.bad_database_url", variable=DATABASE_URL))
    return secret
