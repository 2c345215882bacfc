"""The display of the demo: at a terminal a growing list, with a spinner for the running step; else plain lines.

Rules kept here:
- Only words and marks of the message files and of the story are written.
- What a step saw is shown as text, never as markup or as control codes.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.status import Status
from rich.table import Table
from rich.text import Text

from bot.cli.terminal.output import console, say, shown, tell, text
from bot.demo.story import State, Story, StoryOutcome, StoryStep

_MARKS: dict[State, tuple[str, str, str]] = {  # at a terminal, its colour, in plain lines
    "ok": ("✔", "green", "ok"),
    "failed": ("✘", "red", "FAILED"),
    "not_run": ("–", "yellow", "not run"),
}


class Telling:
    """The display of each step as it begins and ends."""

    def __init__(self, story: Story, count: int) -> None:
        self._story = story
        self._count = count
        self._number = 0
        self._console = console()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._still()

    def begins(self, step: StoryStep) -> None:
        """Show that a step starts to run."""
        if self._console.is_terminal:
            self._status = self._console.status(Text(f"{self._number + 1}/{self._count} {self._story.name(step)}"))
            self._status.start()

    def ended(self, outcome: StoryOutcome) -> None:
        """Show that a step has ended, or will not run."""
        self._still()
        self._number += 1
        (self._drawn if self._console.is_terminal else self._plain)(outcome)

    def summary(self, outcomes: Sequence[StoryOutcome], log: str) -> None:
        """Show how it went, and the bot's last log lines if it did not go well."""
        count = {state: sum(1 for outcome in outcomes if outcome.state == state) for state in _MARKS}
        if count["ok"] == len(outcomes):
            seconds = sum(outcome.seconds for outcome in outcomes)
            say("cli.demo.all_well", count=len(outcomes), seconds=f"{seconds:.0f}")
            return
        say("cli.demo.not_well", count=len(outcomes), failed=count["failed"], not_run=count["not_run"])
        tell("cli.demo.log")
        for line in log.splitlines():
            tell("cli.value", value=line)

    def _still(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _drawn(self, outcome: StoryOutcome) -> None:
        mark, colour, _ = _MARKS[outcome.state]
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(width=2, justify="right")
        table.add_column(min_width=8)
        table.add_column(overflow="fold")
        head = Text.assemble((self._story.name(outcome.step), "bold"), (f"  {outcome.seconds:.1f} s", "dim"))
        self._console.print(Text.assemble((mark, colour), f" {self._number:2} ", head))
        table.add_row("", "", Text(text("cli.demo.expected"), "dim"), Text(outcome.expected, "dim"))
        table.add_row("", "", Text(text("cli.demo.seen"), "dim"), Text(_lines(outcome.seen), colour))
        self._console.print(table)

    def _plain(self, outcome: StoryOutcome) -> None:
        mark = _MARKS[outcome.state][2]
        head = f"{mark:<8}{self._number:2}/{self._count}  {self._story.name(outcome.step)} ({outcome.seconds:.1f} s)"
        seen = _lines(outcome.seen).replace("\n", "\n" + " " * 10)
        for line in (
            head,
            f"          {text('cli.demo.expected')}: {outcome.expected}",
            f"          {text('cli.demo.seen')}: {seen}",
        ):
            self._console.print(Text(line), soft_wrap=True)


def _lines(seen: str) -> str:
    return "\n".join(shown(line) for line in seen.splitlines())
