"""The table of joint checkpoints in memory, which several shards of one test share and anybody may change."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from storage.database.place import DatabasePlace
from storage.database.refusals import refused
from storage.journal.joint_table import JointTable, SharedClosing


class MemoryJointTable(JointTable):
    """Stands for the table in PostgreSQL: `notes` by day, and the `entered` closing checkpoints of each day.

    `vkeys` are the keys that are entered for the shards, by their names.
    """

    def __init__(self) -> None:
        super().__init__(DatabasePlace(Path("/nowhere")))
        self.notes: dict[str, str] = {}
        self.entered: dict[str, dict[str, SharedClosing]] = {}
        self.vkeys: dict[str, str] = {}
        self.away = False
        self.over = True

    def change(self, day: str, shard: str, **values: str) -> None:
        """Change what is entered."""
        self.entered[day][shard] = replace(self.entered[day][shard], **values)

    def enter(self, day: str, note: str) -> None:
        self._must_answer()
        shard = note.partition("/closing/")[0].rpartition("/")[2]
        self.entered.setdefault(day, {})[shard] = SharedClosing(shard, self.vkeys[shard], note)

    def of_day(self, day: str) -> str | None:
        self._must_answer()
        return self.notes.get(day)

    def closings(self, day: str, shards: Sequence[str]) -> list[SharedClosing]:
        self._must_answer()
        return [each for name, each in self.entered.get(day, {}).items() if name in shards]

    def is_over(self, day: str, for_ms: int) -> bool:  # noqa: ARG002 - by the clock of the test
        self._must_answer()
        return self.over

    def put(self, day: str, root: str, note: str) -> None:  # noqa: ARG002 - notes are found by their day
        self._must_answer()
        self.notes.setdefault(day, note)

    def _must_answer(self) -> None:
        if self.away:
            raise refused("full")
