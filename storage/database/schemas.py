"""The schemas of the state database that this version knows, and the migrations between them.

Left to others: the tables of the newest schema (`storage/schema/`), carrying migrations out (`sqlite.py`).
"""

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

NOTED = (  # where Alembic notes the schema
    "CREATE TABLE alembic_version"
    " (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_MIGRATIONS = Path(__file__).parent.parent / "migrations"


def alembic_config() -> "AlembicConfig":
    """Return the configuration of Alembic, imported only here: commands that only read need not wait for it."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


def schemas() -> list[str]:
    """Return the schemas that can be used or migrated, the newest last: each migration's file name begins with one.

    They are those of the program that runs, even if its files have been replaced since it asked first.
    """
    return list(_schemas_in(_MIGRATIONS))


@cache
def _schemas_in(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(file.name.partition("_")[0] for file in (folder / "versions").glob("[0-9]*_*.py")))


def migrations_after(schema: str) -> tuple[tuple[str, str], ...]:
    """Return the migrations that a database of this schema needs: the schema that each makes, and what it does."""
    files = sorted((_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    named = ((file.name.partition("_")[0], file) for file in files)
    return tuple(
        (number, (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0])
        for number, file in named
        if number > schema
    )
