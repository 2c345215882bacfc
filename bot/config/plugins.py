"""Settings of plug-ins: programs of the operator's that give labels to files.

  [[plugins]]   one for each: its name, its socket, which files it is asked about

Rules kept here:
- A plug-in is reached on this machine alone, by a Unix socket.
- A rule names a plug-in that there is.

Left to others: asking (`bot/plugins/protocol.py`), what a rule makes of the labels (`moderation/rules/labels.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from moderation.policy import StrictSettings
from moderation.rules.labels import PluginName
from moderation.values.durations import Duration, parse_duration
from moderation.values.notices import Code

from .errors import ConfigProblem, shown

LONGEST_MS = 60_000
FileKind = Literal["image", "video", "audio", "voice", "file", "sticker"]


class PluginSettings(StrictSettings):
    """One plug-in."""

    name: PluginName
    socket: Path  # relative to the file
    kinds: Annotated[tuple[FileKind, ...], Field(min_length=1)] = ("image",)
    within: Duration = 3_000


def plugin_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what no type can state: two plug-ins of one name, a long wait, a rule whose plug-in is missing."""
    first: dict[str, int] = {}
    for index, each in enumerate(_tables(data.get("plugins"))):
        name = each.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            fields = {"name": Code(name), "first": first[name] + 1}
            yield ConfigProblem(("plugins", index, "name"), "plugin_twice", fields)
        within = each.get("within")
        with suppress(ValueError):
            if isinstance(within, str) and parse_duration(within) > LONGEST_MS:
                yield ConfigProblem(("plugins", index, "within"), "expected.plugin_within", {"stood": shown(within)})
    for index, rule in enumerate(_tables(data.get("rules"))):
        name = rule.get("plugin") if rule.get("kind") == "labels" else None
        if isinstance(name, str) and name not in first:
            yield ConfigProblem(("rules", index, "plugin"), "plugin_missing", {"name": Code(name)})


def _tables(listed: object) -> list[Mapping[str, Any]]:
    """Return the tables of a list, an empty one in place of anything else."""
    return [each if isinstance(each, Mapping) else {} for each in listed] if isinstance(listed, list) else []
