"""The settings of the deployment as they are understood, never a secret."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bot.config.config import FileSettings
from bot.console.visit import Route, Visit
from moderation.values.durations import Duration
from moderation.values.notices import Span

_LASTS = get_args(Duration)[1]  # what marks a setting as a length of time
MOST = 100  # values of one setting that are shown: a list of hashes may have thousands
_PRIVATE = frozenset({"webhook"})  # addresses whose path may be a password


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting: its name, its value in words, and whether somebody chose it."""

    name: str
    value: str
    is_chosen: bool


async def settings(visit: Visit) -> web.Response:
    """Show them by the tables of the file."""
    config = visit.site.config
    tables = [(name, list(_table(visit, found))) for name, found in _tables(config)]
    json = {name: {each.name: each.value for each in rows} for name, rows in tables}
    return visit.page("settings.html", section="settings", file=config.file, tables=tables, json=json)


def _tables(config: FileSettings) -> Iterator[tuple[str, BaseModel]]:
    for name in FileSettings.model_fields:
        found = getattr(config, name)
        if isinstance(found, BaseModel):
            yield name, found
        else:
            yield from ((f"{name} {getattr(each, 'name', number)}", each) for number, each in enumerate(found, 1))


def _table(visit: Visit, found: BaseModel, before: str = "") -> Iterator[Shown]:
    """Yield the settings of a table, and those of tables in it under their names."""
    for name, field in type(found).model_fields.items():
        value, full = getattr(found, name), f"{before}{field.alias or name}"
        if isinstance(value, BaseModel):
            yield from _table(visit, value, f"{full}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for number, each in enumerate(value, 1):
                yield from _table(visit, each, f"{full} {number}.")
        else:
            yield Shown(full, _in_words(visit, name, field, value), name in found.model_fields_set)


def _in_words(visit: Visit, name: str, field: FieldInfo, value: Any) -> str:
    if value is None or value in ("", ()):
        return ""
    if name in _PRIVATE:
        parts = urlsplit(str(value))
        return f"{parts.scheme}://{parts.hostname}/…"
    if isinstance(value, bool):
        return visit.site.catalog.text(visit.language, "cli.yes" if value else "cli.no")
    if isinstance(value, int) and _LASTS in field.metadata:
        return visit.site.catalog.text(visit.language, "console.span", span=Span(value))
    if isinstance(value, tuple | frozenset | list):
        some = [*map(str, islice(value, MOST))]
        return ", ".join(some if len(value) <= MOST else [*some, f"… ({len(value)})"])
    if isinstance(value, dict):
        return ", ".join(f"{key} = {each}" for key, each in value.items())
    return str(value) if not isinstance(value, Path) else value.as_posix()


ROUTES = (Route("GET", "/settings", settings, who="operator", menu="settings"),)
