"""The records of a bot as a test reads them: again and again while it waits, so a line is decoded only once."""

from contextlib import suppress
from operator import is_
from pathlib import Path

from bot.pipeline.replay import Rooms
from moderation.model.facts import Fact
from storage.journal.days import DamagedDay, Day, DayLines
from storage.journal.line_format import BadLine, decode
from storage.journal.reader import Log
from storage.journal.record import Record
from storage.record_mapping import fact_of_record


class JournalRead:
    """The journal in a folder, read from the disk at each look; a line that was decoded is known by all its bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._decoded: dict[bytes, Record] = {}
        self._present: list[tuple[Path, bytes]] = []  # the files as they were when all were read last
        self._records: list[Record] = []  # what they said
        self._rooms = Rooms({})
        self._taken: list[Record] = []  # the records whose facts are known
        self._facts: list[tuple[int, Fact]] = []

    def records(self, first: int = 0) -> list[Record]:
        """Return the records from `first` on. Raises `Broken` at a damaged line."""
        try:
            found = self._all()
        except (DamagedDay, BadLine):
            return list(Log(self._folder).read(first))  # says which line it is, if one of these is
        return [record for record in found if record.index >= first]

    def facts(self) -> list[tuple[int, Fact]]:
        """Return every fact with the index of its record."""
        records = self.records()
        if not _begins_with(records, self._taken):  # something was erased or purged: all may be otherwise
            self._rooms, self._taken, self._facts = Rooms({}), [], []
        for record in records[len(self._taken) :]:
            if (fact := fact_of_record(record, self._rooms.of)) is not None:
                self._rooms.learn(fact)
                self._facts.append((int(record.index), fact))
        self._taken = records
        return list(self._facts)

    def _all(self) -> list[Record]:
        days = Log(self._folder).days()
        with suppress(FileNotFoundError):  # a day that is being closed is read below
            present = [(day.path, day.path.read_bytes()) for day in days]
            if present != self._present:
                self._present, self._records = present, self._read(days)
            return self._records
        return self._read(days)

    def _read(self, days: list[Day]) -> list[Record]:
        return [self._record(raw) for day in days for raw in DayLines(day.path).each()]

    def _record(self, raw: bytes) -> Record:
        record = self._decoded.get(raw)
        if record is None:
            record = self._decoded[raw] = decode(raw)
        return record


def _begins_with(records: list[Record], those: list[Record]) -> bool:
    return len(records) >= len(those) and all(map(is_, records, those))
