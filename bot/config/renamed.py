"""Tables of `config.toml` that have a new name: the old one is still read, and the operator is told of it.

Rules kept here:
- A file with both names has one too many: the old one is then an unknown table.
- A problem is named by the name that stands in the file.

Left to others: telling the operator (`bot/cli/check/command.py`, `bot/cli/run.py`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .errors import ConfigProblem

RENAMED = {"caps": "member_limits", "roster": "member_list"}  # old -> new


def old_names(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the old names that stand in the file and are read."""
    return tuple(old for old, new in RENAMED.items() if old in data and new not in data)


def with_new_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with each table under its new name."""
    renamed = {old: RENAMED[old] for old in old_names(data)}
    return {renamed.get(name, name): table for name, table in data.items()}


def as_written(problem: ConfigProblem, data: Mapping[str, Any]) -> ConfigProblem:
    """Return the problem at the place where it stands in the file."""
    written: dict[int | str, str] = {RENAMED[old]: old for old in old_names(data)}
    if not problem.place or problem.place[0] not in written:
        return problem
    return replace(problem, place=(written[problem.place[0]], *problem.place[1:]))
