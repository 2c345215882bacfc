"""This program in a version that is newer by one migration.

python -m tests.postgres.newer_version FOLDER ARGUMENT...      FOLDER: what `newer_migrations` made
"""

import shutil
import sys
from pathlib import Path

from bot.cli.main import run
from storage.database import schemas as database_schemas
from storage.database.schemas import schemas

_MIGRATION = """revision, down_revision = {revision!r}, {before!r}

import sqlalchemy as sa
from alembic import op

def upgrade():
    op.add_column("meta", sa.Column("of_newer", sa.String(), server_default="-", nullable=False))
"""


def newer_migrations(folder: Path) -> str:
    """Make a folder of all migrations and one more. Returns the schema that this one makes."""
    before = schemas()[-1]
    revision = f"{int(before) + 1:04}"
    shutil.copytree("storage/migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = _MIGRATION.format(revision=revision, before=before)
    (folder / "versions" / f"{revision}_newer.py").write_text(text, "utf-8")
    return revision


if __name__ == "__main__":
    database_schemas._MIGRATIONS = Path(sys.argv[1])
    run(sys.argv[2:])
