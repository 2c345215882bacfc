"""COMMANDS: all commands by name and alias. They are found, not listed: a file of this folder states its own.

Rules kept here:
- A file with commands has `COMMANDS`, and `SUBJECT`, which says where `!help` shows them.
- A name belongs to one command. Each language has one of its own, in the message files.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType

from bot.texts.catalog import LANGUAGES, Catalog
from moderation.values.errors import Broken

from . import __name__ as folder
from . import __path__ as places
from .invocation import SUBJECTS, Command

_USE_IT = {"registry", "dispatcher"}  # files of this folder that need the table, and so cannot be asked for it


def find_commands() -> Mapping[str, Command]:
    """Return the commands by name and alias, as `!help` shows them. Raises `Broken`, which says what a file lacks."""
    names = {each.name for each in pkgutil.iter_modules(places)} - _USE_IT
    modules = [import_module(f"{folder}.{name}") for name in sorted(names)]
    table: dict[str, Command] = {}
    for module in sorted((each for each in modules if hasattr(each, "COMMANDS")), key=_place):
        for name, command in _named(module):
            if name in table:
                raise Broken(f"{module.__name__}: {name!r} names the command {table[name].name!r} already")
            table[name] = command
    return table


def _place(module: ModuleType) -> int:
    subject = getattr(module, "SUBJECT", None)
    if subject not in SUBJECTS:
        raise Broken(f"{module.__name__} lacks its SUBJECT, which is one of: {', '.join(SUBJECTS)}")
    return SUBJECTS.index(subject)


def _named(module: ModuleType) -> Iterator[tuple[str, Command]]:
    for command in module.COMMANDS:
        for name in dict.fromkeys((command.name, *command.aliases, *_translations(command))):
            yield name, command


def _translations(command: Command) -> Iterator[str]:
    """Yield the names in the message files; `tests/unit/test_registries.py` finds those that are missing."""
    texts, key = Catalog.load(), f"command.{command.name}.name"
    return (texts.template(language, key) for language in LANGUAGES if key in texts.keys(language))


COMMANDS = find_commands()
