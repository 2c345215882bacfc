"""The findings of checking a log: plain values, to be shown in any language or as JSON.

A problem is a code, a place and fields; its text is the message `key` of `bot/texts`.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MAX_PROBLEMS = 100

Progress = Callable[[int, int], None]  # records checked, records in the newest checkpoint


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: `code` says what is wrong, `file` (within the records) and `line` (0: the whole file) where.

    `index` is the record concerned; -1 if it is about no single record.
    """

    code: str
    file: str
    line: int = 0
    index: int = -1
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of the message about it, which is filled from `file`, `line`, `index` and `fields`."""
        return f"cli.logs.problem.{self.code}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The outcome. `problems` are in the order of the log: lines first, then those of whole files."""

    records: int  # number of records read
    first: int  # index of the first record that is kept; more than 0 after a purge
    signed: int  # number of records that the newest checkpoint covers; later ones are not signed yet
    root: bytes  # of all records read
    problems: tuple[Problem, ...] = ()
    more: int = 0  # problems beyond the first hundred

    @property
    def ok(self) -> bool:
        """True if there is no problem."""
        return not self.problems

    @property
    def unsigned(self) -> int:
        """The number of records that are not signed yet."""
        return max(0, self.first + self.records - self.signed)

    def as_json(self) -> dict[str, Any]:
        """Return the report as `logs verify --json` and the console show it."""
        problems = [
            {"code": item.code, "file": item.file, "line": item.line, "index": item.index, **item.fields}
            for item in self.problems
        ]
        return {
            "ok": self.ok,
            "records": self.records,
            "first": self.first,
            "signed": self.signed,
            "unsigned": self.unsigned,
            "root": base64.b64encode(self.root).decode(),
            "problems": problems,
            "more": self.more,
        }

    def reaching(self, known: int) -> "VerifyReport":
        """Return the report, with one more problem if the log ends before its first `known` records."""
        missing = known - (self.first + self.records)
        if missing <= 0:
            return self
        problem = Problem("end_missing", file="day", fields={"count": missing})
        return replace(self, problems=(*self.problems, problem))


class Findings:
    """Collects up to a hundred problems and counts the rest."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.more = 0

    def add(self, code: str, file: str, line: int = 0, index: int = -1, **fields: object) -> None:
        """Add a problem."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(code, file, line, index, fields))
        else:
            self.more += 1

    def withdraw(self, code: str, file: str) -> None:
        """Remove the problems with this code in a file, because more is known now."""
        self.problems = [each for each in self.problems if (each.code, each.file) != (code, file)]

    @property
    def too_many(self) -> bool:
        """True once problems are only counted: time to stop looking for more."""
        return self.more > 0

    def in_order(self) -> tuple[Problem, ...]:
        """Return the problems of lines by index, then those of files."""
        return tuple(sorted(self.problems, key=lambda p: (p.line == 0, p.index if p.line else 0)))
