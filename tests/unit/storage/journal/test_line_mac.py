"""Nobody who can write to the database, but lacks the key of the log, can add a record to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moderation.values.errors import Refused
from storage.journal.level import files_differ
from tests.unit.storage.journal.shared_log import NOON, Machines, said


@pytest.fixture
def machines(tmp_path: Path, postgres_url: str) -> Iterator[Machines]:
    made = Machines(tmp_path, postgres_url)
    yield made
    made.close()


def _forge(machines: Machines, index: int, other: int, *, day: str = "2026-11-24") -> None:
    """Write the row of record `other` as one of record `index`, well formed, with the day given."""
    machines.db.execute("CREATE TEMP TABLE forged AS SELECT * FROM answerable_shared.log WHERE idx = %s", (other,))
    (line,) = machines.db.execute("SELECT line FROM forged").fetchone() or (b"",)
    line = line.replace(b'"i":%d' % other, b'"i":%d' % index)
    machines.db.execute("UPDATE forged SET idx = %s, day = %s, line = %s", (index, day, line))
    machines.db.execute("DELETE FROM answerable_shared.log WHERE idx = %s", (index,))
    machines.db.execute("INSERT INTO answerable_shared.log SELECT * FROM forged")
    machines.db.execute("DROP TABLE forged")


def test_a_line_that_somebody_added_is_neither_taken_nor_signed_by_the_next_leader(machines: Machines) -> None:
    one = machines.machine("one")
    with one.leads() as journal:
        journal.append([said("true words")])
        journal.checkpoint(NOON)
        size = journal.size
    _forge(machines, size, 1)
    before = one.files()
    with pytest.raises(Refused) as caught, files_differ(one.data_dir), one.leads():
        pass
    assert caught.value.key == "cli.run.foreign_line"
    assert one.files() == before
    machines.db.execute("DELETE FROM answerable_shared.log WHERE idx >= %s", (size,))
    with one.leads() as journal:
        assert journal.size == size


@pytest.mark.parametrize("day", ["2026-11-24", "2026-11-25"])
def test_a_line_that_somebody_changed_is_not_taken_by_a_follower(machines: Machines, day: str) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("true words")])
        journal.checkpoint(NOON)
        other.follows()
        before = other.files()
        journal.append([said("more"), said("and more")])
        journal.sync()
        with pytest.raises(Refused), files_differ(other.data_dir):
            _forge(machines, journal.size - 1, journal.size - 1 if day > "2026-11-24" else 1, day=day)
            other.follows()
    assert other.files() == before
