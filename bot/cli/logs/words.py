"""The words for records at a terminal: with the display names of the database, in a data directory.

Left to others: the words (`bot/texts/record_words.py`), which records (`command.py`), their skeletons
(`line_format.py`), who may see content (`bot/cli/access/access_reason.py`).
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from bot.cli.terminal.options import read_config
from bot.texts.record_words import Wording


def wording_of(data: Path, config_file: Path | None, now_ms: int, *, content: bool) -> Wording:
    """Return the words for the records in a data directory; without a configuration no server is left out of ids."""
    home = read_config(config_file).server if config_file else ""
    return Wording(display_names(data), home, now_ms, content=content)


def display_names(data: Path) -> Callable[[str], str]:
    """Return a function that finds a display name in the database; "" without one."""
    from storage.database.place import FILE

    @cache
    def known() -> dict[str, str]:
        place = f"{(data / FILE).absolute().as_uri()}?mode=ro"
        with suppress(sqlite3.Error), closing(sqlite3.connect(place, uri=True)) as database:
            return dict(database.execute("SELECT user, display_name FROM members WHERE display_name != ''"))
        return {}

    return lambda user: known().get(user, "")
