"""The table of joint checkpoints in memory, which several shards of one test share and anybody may change."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from storage.database.place import DatabasePlace
from storage.database.refusals import refused
from storage.journal.joint_table import JointTable, SharedClosing


class MemoryJointTable(JointTable):
    """Stands for the table in PostgreSQL: `notes` by day, and the `entered` closing checkpoints of each day."""

    def __init__(self) -> None:
        super().__init__(DatabasePlace(Path("/nowhere")))
        self.notes: dict[str, str] = {}
        self.entered: dict[str, dict[str, SharedClosing]] = {}
        self.away = False

    def enter(self, day: str, closing: SharedClosing) -> None:
        """Let a shard have a closing checkpoint."""
        self.entered.setdefault(day, {})[closing.shard] = closing

    def change(self, day: str, shard: str, **values: str) -> None:
        """Change what is entered."""
        self.enter(day, replace(self.entered[day][shard], **values))

    def of_day(self, day: str) -> str | None:
        self._must_answer()
        return self.notes.get(day)

    def closings(self, day: str, shards: Sequence[str]) -> list[SharedClosing]:
        self._must_answer()
        return [each for name, each in self.entered.get(day, {}).items() if name in shards]

    def put(self, day: str, root: str, note: str) -> None:  # noqa: ARG002 - notes are found by their day
        self._must_answer()
        self.notes.setdefault(day, note)

    def _must_answer(self) -> None:
        if self.away:
            raise refused("full")
