"""The words for records at a terminal: with the display names of the database, in a data directory.

Left to others: the words (`bot/texts/record_words.py`), which records (`command.py`), their skeletons
(`line_format.py`), who may see content (`bot/cli/access/access_reason.py`).
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli.terminal.options import read_config
from bot.texts.record_words import Wording
from moderation.values.errors import AnswerableError

if TYPE_CHECKING:
    from storage.database.place import DatabasePlace


def wording_of(place: "DatabasePlace", config_file: Path | None, now_ms: int, *, content: bool) -> Wording:
    """Return the words for the records of a place; without a configuration no server is left out of ids."""
    home = read_config(config_file).server if config_file else ""
    return Wording(display_names(place), home, now_ms, content=content)


def display_names(place: "DatabasePlace") -> Callable[[str], str]:
    """Return a function that finds a display name in the database; "" without one."""
    from storage.database.plain import reading

    @cache
    def known() -> dict[str, str]:
        named = """SELECT "user", display_name FROM members WHERE display_name != ''"""
        with suppress(OSError, AnswerableError), reading(place) as tables:
            return dict(tables.tuples(named))
        return {}

    return lambda user: known().get(user, "")
