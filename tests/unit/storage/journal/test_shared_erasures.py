"""An erasure that failed, in the table or on a machine, is completed by the next one or at the next start."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from moderation.values.errors import Broken
from storage.journal.days import Day, DayLines, rewriting
from storage.journal.follower import Follower
from storage.journal.journal import Journal
from storage.journal.record import Draft
from storage.journal.retention.targets import Targets
from tests.unit.storage.journal.shared_log import DAY_MS, NOON, Machines, erasing, said

_REFUSE = """
CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'lock timeout' USING ERRCODE = '55P03'; END $$;
CREATE TRIGGER refused BEFORE UPDATE ON answerable_shared.log EXECUTE FUNCTION refused();
"""
_ALLOW = "DROP TRIGGER refused ON answerable_shared.log"


@pytest.fixture
def machines(tmp_path: Path, postgres_url: str) -> Iterator[Machines]:
    made = Machines(tmp_path, postgres_url)
    yield made
    made.close()


def test_an_erasure_that_the_table_refused_is_done_by_the_next_one(machines: Machines) -> None:
    with machines.machine("one").leads() as journal:
        journal.append([said("secret"), said("other secret")])
        _refused_in_table(machines, journal)
        _erase(journal, 2)
        assert not any(b"secret" in line for line in machines.lines())


def test_an_erasure_that_a_damaged_day_prevented_is_done_once_the_day_is_mended(machines: Machines) -> None:
    one = machines.machine("one")
    with one.leads() as journal:
        journal.append([said("secret"), said("next day", NOON + DAY_MS), said("other secret", NOON + DAY_MS)])
        day = Day("2026-11-24", one.folder / "day" / "2026-11-24.jsonl.zst")
        whole = _damage(day)
        with pytest.raises(Broken):
            _erase(journal, 1)
        _erase(journal, 3)
        assert not any(b"other secret" in line for line in machines.lines())
    with one.leads() as journal:
        assert journal.unfinished
        _erase(journal, 2)
        assert not any(b"next day" in line for line in machines.lines())
        day.path.write_bytes(whole)
    with one.leads() as journal:
        assert not journal.unfinished
        assert not any(b"secret" in text for text in one.files().values())
        assert not any(b"secret" in line for line in machines.lines())


def test_a_follower_erases_beside_a_damaged_day_and_there_once_it_is_mended(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("secret"), said("other secret", NOON + DAY_MS)])
        journal.sync()
        follower = other.follower()
        _step(follower)
        day = Day("2026-11-24", other.folder / "day" / "2026-11-24.jsonl.zst")
        whole = _damage(day)
        _erase(journal, 1, 2)
        journal.checkpoint(NOON + DAY_MS)
        _step(follower)
        assert day.name in follower.unfinished
        assert not any(b"other secret" in text for text in other.files().values())
        day.path.write_bytes(whole)
        journal.append([said("later", NOON + DAY_MS)])
        journal.checkpoint(NOON + DAY_MS)
        _step(follower)
        assert not follower.unfinished
        assert not any(b"secret" in text for text in other.files().values())
        follower.close()
    assert other.files() == one.files()


def test_a_machine_with_a_damaged_day_follows_and_says_what_it_could_not_erase(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("secret"), said("next day", NOON + DAY_MS)])
        targets = Targets.of([(1, 0)])
        journal.append([erasing(targets, NOON + DAY_MS)])
        journal.sync()
        other.follower().close()
        follower = other.follower()
        _step(follower)
        follower.close()
        day = Day("2026-11-24", other.folder / "day" / "2026-11-24.jsonl.zst")
        whole = _damage(day)
        follower = other.follower()
        follower.finish_declared()
        journal.checkpoint(NOON + DAY_MS)
        _step(follower)
        assert day.name in follower.unfinished
        follower.close()
        assert other.follower().size == journal.size
    day.path.write_bytes(whole)
    follower = other.follower()
    follower.finish_declared()
    assert not follower.unfinished
    follower.close()
    assert not any(b"secret" in text for text in other.files().values())


@pytest.mark.parametrize("restarted", [False, True])
def test_a_purge_that_a_damaged_day_prevented_is_said_and_done_once_it_is_mended(
    machines: Machines, restarted: bool
) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    now = NOON + 200 * DAY_MS
    with one.leads() as journal:
        journal.append([said("old"), said("next day", NOON + DAY_MS)])
        journal.sync()
        follower = other.follower()
        _step(follower)
        day = Day("2026-11-24", other.folder / "day" / "2026-11-24.jsonl.zst")
        whole = day.path.read_bytes()
        day.path.write_bytes(b"no day at all")
        (by,) = journal.append([Draft("purge", now, fields={"below": 2, "what": "schedule"})])
        journal.purge(2, by)
        journal.checkpoint(now)
        _step(follower)
        assert (day.path.exists(), day.name in follower.unfinished) == (True, True)
        day.path.write_bytes(whole)
        if restarted:
            follower.close()
            follower = other.follower()
            follower.finish_declared()
        else:
            journal.append([said("later", now)])
            journal.checkpoint(now)
            _step(follower)
        assert (day.path.exists(), follower.unfinished) == (False, "")
        follower.close()


def test_a_purge_that_its_record_does_not_allow_is_left(machines: Machines) -> None:
    """Nothing can be mended on this machine: the leader purged nothing either."""
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("old"), said("next day", NOON + DAY_MS)])
        journal.append([Draft("purge", NOON + DAY_MS, fields={"below": 2, "what": "schedule"})])
        journal.checkpoint(NOON + DAY_MS)
        follower = other.follower()
        _step(follower)
        assert (other.folder / "day" / "2026-11-24.jsonl.zst").exists()
        assert follower.unfinished == ""
        follower.close()


def _step(follower: Follower) -> None:
    while follower.step():
        pass


def _damage(day: Day) -> bytes:
    """Give record 1 of a closed day another number. Returns the file as it was."""
    whole = day.path.read_bytes()
    with rewriting(day) as write:
        write(b"".join(line.replace(b'"i":1', b'"i":7') + b"\n" for line in [*DayLines(day.path).each()]))
    return whole


def _refused_in_table(machines: Machines, journal: Journal) -> None:
    """Erase record 1, while the table takes no changes."""
    machines.db.execute(_REFUSE)
    with pytest.raises(DBAPIError) as caught:
        _erase(journal, 1)
    assert isinstance(caught.value.orig, psycopg.errors.LockNotAvailable)
    machines.db.execute(_ALLOW)


def _erase(journal: Journal, *indices: int) -> None:
    targets = Targets.of([(index, 0) for index in indices])
    (by,) = journal.append([erasing(targets, NOON + DAY_MS)])
    journal.erase(targets, by)
