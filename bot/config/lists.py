"""Lists that stand in files of their own: hashes of known files, one on each line.

Rules kept here:
- A list is read when the configuration is, and is part of it from then on.
- An empty line counts for nothing, nor does what follows a hash after a space, a comma or "#".

Left to others: what a hash is good for (`moderation/rules/images.py`).
"""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from moderation.values.notices import Code

from .errors import ConfigProblem, shown
from .toml_lines import Place

LISTS = ("hashes", "sha256")  # settings of the kind `images`
_KIND = "images"
_HASH = re.compile(r"([0-9a-fA-F]{64})(?:[\s,#].*)?\Z")
_SOME_HASH = "0" * 64  # in place of a list that cannot be read, so that one mistake is told once


def with_lists(data: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """Return the settings with each list in place of the name of its file, and what is wrong with the files."""
    problems: list[ConfigProblem] = []
    rules = data.get("rules")
    if not isinstance(rules, list):
        return dict(data), problems
    changed = [_read_rule(("rules", index), rule, folder, problems) for index, rule in enumerate(rules)]
    return {**data, "rules": changed}, problems


def _read_rule(place: Place, rule: Any, folder: Path, problems: list[ConfigProblem]) -> Any:
    if not isinstance(rule, dict) or rule.get("kind") != _KIND:
        return rule
    if rule.get("hashes") and find_spec("PIL") is None:
        problems.append(ConfigProblem((*place, "hashes"), "images_extra"))
    names = [name for name in LISTS if isinstance(rule.get(name), str)]
    return rule | {name: _read((*place, name), rule[name], folder, problems) for name in names}


def _read(place: Place, name: str, folder: Path, problems: list[ConfigProblem]) -> list[str]:
    try:
        file = folder / Path(name).expanduser()
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError, RuntimeError) as error:  # not there, not UTF-8, "~nobody"
        why = error.strerror if isinstance(error, OSError) and error.strerror else "UTF-8"
        problems.append(ConfigProblem(place, "list_unreadable", {"file": Code(name), "why": why}))
        return [_SOME_HASH]
    found = list(_hashes(lines))
    if bad := next((number for number, value in found if value is None), None):
        stood = shown(lines[bad - 1].strip())
        problems.append(ConfigProblem(place, "list_line", {"file": Code(name), "number": bad, "stood": stood}))
        return [_SOME_HASH]
    return list(dict.fromkeys(value for _, value in found if value)) or [_SOME_HASH]


def _hashes(lines: list[str]) -> Iterator[tuple[int, str | None]]:
    """Yield the hash of each line with its number; None if it has none."""
    for number, line in enumerate(lines, 1):
        if (text := line.strip()) and not text.startswith("#"):
            found = _HASH.match(text)
            yield number, found[1].lower() if found else None
