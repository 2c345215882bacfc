"""The findings of a check: one line each, and a remedy for what is not right.

The text of a finding is `cli.check.ok.<key>` if all is well, else `cli.check.<key>.text` with `cli.check.<key>.remedy`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bot.cli.terminal.output import text

State = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. Only a `problem` makes the check fail."""

    check: str
    state: State
    key: str
    fields: Mapping[str, object] = field(default_factory=dict)
    block: str = ""  # lines to be copied, shown below the words as they stand

    def with_block(self, block: str) -> "Finding":
        """Return the finding with lines to be copied."""
        return replace(self, block=block)

    @property
    def words(self) -> str:
        """The finding in words."""
        key = f"cli.check.ok.{self.key}" if self.state == "ok" else f"cli.check.{self.key}.text"
        return text(key, **self.fields)

    @property
    def remedy(self) -> str:
        """The remedy in words; empty if all is well."""
        return "" if self.state == "ok" else text(f"cli.check.{self.key}.remedy", **self.fields)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for ``--json``; these keys are documented and stay."""
        return {
            "check": self.check,
            "state": self.state,
            "key": self.key,
            "text": self.words,
            "remedy": self.remedy,
        }


def ok(check: str, key: str, **fields: object) -> Finding:
    """Report that all is well."""
    return Finding(check, "ok", key, fields)


def note(check: str, key: str, **fields: object) -> Finding:
    """Report that nothing is wrong, but something could be done."""
    return Finding(check, "note", key, fields)


def warning(check: str, key: str, **fields: object) -> Finding:
    """Report that the bot works, but with a limit."""
    return Finding(check, "warning", key, fields)


def problem(check: str, key: str, **fields: object) -> Finding:
    """Report that the bot will not work as it should."""
    return Finding(check, "problem", key, fields)
