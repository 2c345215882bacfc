"""A purge removes whole expired days, records it, and leaves a log that continues and can be checked."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moderation.values.errors import Broken, Invalid
from storage.journal.days import DayLines
from storage.journal.journal import Journal
from storage.journal.line_format import open_line
from storage.journal.merkle import Tree
from storage.journal.retention.find import overdue_parts
from storage.journal.retention.legal_holds import HoldsInForce, holds_in_force
from storage.journal.retention.purge import FLOOR_DAYS, PurgePlan, Retention, Stop, plan_purge
from storage.journal.retention.targets import Targets
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.signed_note import Signer
from storage.journal.verify.verify import verify
from tests.examples import STRIDE
from tests.unit.storage.journal.killed import KILLED, killed_at

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
LATER = NOON + 200 * DAY_MS
FIRST, SECOND, THIRD = "2026-11-24", "2026-11-25", "2026-11-26"


@pytest.fixture
def old(place: Any, tools: Any) -> Any:
    """Provide a log with 0-300, 301-600 and 601-610 on three days, long ago, and 611 on a fourth, LATER."""
    with place.open() as journal:
        journal.append([tools.message(str(number)) for number in range(300)])
        journal.append([tools.message("second", NOON + DAY_MS)] * 300)
        journal.append([tools.message("third", NOON + 2 * DAY_MS)] * 10)
        journal.append([tools.message("now", LATER)])
        journal.close(LATER)
    return place


def plan(place: Any, now: int = LATER, retention: Retention | None = None) -> PurgePlan:
    return plan_purge(place.folder, now, retention or Retention(), holds_in_force(place.folder, now))


def run(place: Any, tools: Any, below: int, now: int = LATER) -> list[str]:
    with place.open(now) as journal:
        [by] = journal.append([tools.purge(below, now)])
        gone: list[str] = journal.purge(below, by)
        journal.close(now)
    return gone


def codes(folder: Path, **kwargs: Any) -> list[str]:
    return [problem.code for problem in verify(folder, **kwargs).problems]


def files(place: Any) -> list[str]:
    return sorted(path.relative_to(place.folder).as_posix() for path in place.folder.rglob("*") if path.is_file())


# What would go


def test_a_plan_changes_nothing_and_says_what_would_go(old: Any) -> None:
    before = files(old)
    sizes = [(old.folder / f"day/{day}.jsonl.zst").stat().st_size for day in (FIRST, SECOND, THIRD)]
    assert plan(old) == PurgePlan(611, (FIRST, SECOND, THIRD), 611, sum(sizes))
    ends = NOON + DAY_MS // 2 + 190 * DAY_MS
    assert plan(old, ends - 1) == PurgePlan(0)
    assert plan(old, ends) == PurgePlan(301, (FIRST,), 301, sizes[0])
    assert files(old) == before


def test_nothing_is_purged_before_the_floor() -> None:
    assert FLOOR_DAYS == 183
    for wrong in ((182, {}), (190, {"decision": 10}), (0, {})):
        with pytest.raises(Invalid, match="183 days"):
            Retention(*wrong)


def test_an_empty_log_or_one_of_today_has_nothing_to_purge(place: Any) -> None:
    place.open().close(NOON)
    assert plan(place) == PurgePlan(0)
    place.open(LATER).close(LATER)


def test_held_records_and_all_later_ones_stay(old: Any, tools: Any) -> None:
    with old.open(LATER) as journal:
        [hold] = journal.append([tools.hold('{"records":"400"}', LATER + DAY_MS, LATER)])
        journal.close(LATER)
    found = plan(old)
    assert (found.below, found.days, found.stop) == (301, (FIRST,), Stop("hold", SECOND, hold=hold, index=400))
    assert plan(old, LATER + DAY_MS).days == (FIRST, SECOND, THIRD)
    with old.open(LATER) as journal:
        [by] = journal.append([tools.purge(611, LATER)])
        with pytest.raises(Broken, match=f"record 400 is covered by the hold {hold}"):
            journal.purge(611, by)
        assert journal.append([tools.message(at_ms=LATER)])
        journal.close(LATER)
    assert codes(old.folder) == []


def test_a_hold_on_a_person_of_whom_nothing_is_shown_any_more_stops_nothing(old: Any, tools: Any) -> None:
    with old.open(LATER) as journal:
        journal.append([tools.hold('{"persons":["@ben:example.org"]}', LATER + DAY_MS, LATER)])
        journal.close(LATER)
    assert plan(old).below == 611


def test_kinds_that_are_kept_longer_keep_their_day_and_the_rest_of_it_is_erased(place: Any, tools: Any) -> None:
    longer = Retention(190, {"leave": 400})
    with place.open() as journal:
        journal.append([tools.message("one"), tools.message("two", NOON + DAY_MS), tools.two_parts(NOON + DAY_MS)])
        journal.append([tools.message("three", NOON + 2 * DAY_MS), tools.message("now", LATER)])
        journal.close(LATER)
    found = plan(place, retention=longer)
    assert (found.below, found.days, found.stop) == (2, (FIRST,), Stop("kind", SECOND, kind="leave", index=3))
    due = overdue_parts(place.folder, longer.is_due(LATER), HoldsInForce())
    assert due.targets.text == "1-2,4"
    with place.open(LATER) as journal:
        [by] = journal.append([tools.erase(due.targets, LATER)])
        journal.erase(due.targets, by)
        journal.close(LATER)
    assert run(place, tools, 2) == [FIRST]
    assert codes(place.folder) == []
    assert overdue_parts(place.folder, longer.is_due(LATER), HoldsInForce()).targets.count == 0
    much_later = NOON + 500 * DAY_MS
    assert overdue_parts(place.folder, longer.is_due(much_later), HoldsInForce()).targets.text == "3;1:3"


# What is removed


def test_days_and_tiles_go_and_everything_that_stays_can_be_proved(old: Any, tools: Any) -> None:
    kept = {name: (old.folder / f"checkpoints/{name}.ckpt").read_text() for name in (FIRST, SECOND, THIRD)}
    assert run(old, tools, 601) == [FIRST, SECOND]
    names = files(old)
    assert [name for name in names if name.startswith("day")] == ["day/2026-11-26.jsonl.zst", "day/2027-06-12.jsonl"]
    assert all(name.startswith("tile/0/002") for name in names if name.startswith("tile/0"))
    assert (old.folder / "min_index").read_text() == "601\n"
    report = verify(old.folder)
    assert (report.problems, report.first, report.records, report.signed) == ((), 601, 12, 613)
    with old.open(LATER) as journal:
        assert journal.append([tools.message("on", LATER)] * 300) == list(range(613, 913))
        for index in (601, 611, 612, 700, 912):
            assert "tlog-proof" in journal.proof(index)
        for index in (0, 255, 300, 511):
            with pytest.raises(LookupError):
                journal.proof(index)
        with pytest.raises(LookupError):
            journal.get(600)
        assert [record.index for record in journal.read()] == list(range(601, 913))
        journal.close(LATER)
    assert codes(old.folder) == []
    assert codes(old.folder, against=kept[THIRD]) == []
    assert codes(old.folder, against=kept[SECOND]) == []
    assert codes(old.folder, against=kept[FIRST]) == ["against_purged"]


def test_an_older_checkpoint_can_be_compared_where_the_tiles_above_tell_its_root(old: Any, tools: Any) -> None:
    signer = Signer.parse((old.data_dir / "keys/log.key").read_text().strip())
    tree = Tree()
    tree.extend([leaf for day in (FIRST, SECOND) for leaf in leaves(old, day)][:256])
    right = Checkpoint(signer.name, 256, tree.root()).signed(signer)
    wrong = Checkpoint(signer.name, 256, b"\0" * 32).signed(signer)
    run(old, tools, 601)
    assert codes(old.folder, against=right) == []
    assert codes(old.folder, against=wrong) == ["root"]


def leaves(place: Any, day: str) -> list[bytes]:
    return [open_line(raw).leaf for raw in DayLines(place.folder / f"day/{day}.jsonl.zst").each()]


def test_purging_again_and_again(old: Any, tools: Any) -> None:
    assert run(old, tools, 301) == [FIRST]
    assert run(old, tools, 601) == [SECOND]
    assert run(old, tools, 601) == []
    assert run(old, tools, 611, LATER + 2 * DAY_MS) == [THIRD]
    assert (verify(old.folder).problems, (old.folder / "min_index").read_text()) == ((), "611\n")
    assert not [name for name in files(old) if name.startswith(("tile/0/000", "tile/0/001"))]


def test_the_purge_record_can_be_purged_later(old: Any, tools: Any) -> None:
    run(old, tools, 611)
    much_later = LATER + 200 * DAY_MS
    with old.open(much_later) as journal:
        journal.append([tools.message("much later", much_later)])
        journal.close(much_later)
    assert plan(old, much_later).below == 613
    run(old, tools, 613, much_later)
    assert codes(old.folder) == []


@pytest.mark.parametrize("below", [1, 300, 602, 612, 9999])
def test_only_whole_days_that_are_there(old: Any, tools: Any, below: int) -> None:
    before = files(old)
    with old.open(LATER) as journal:
        [by] = journal.append([tools.purge(below, LATER)])
        with pytest.raises(Broken):
            journal.purge(below, by)
    assert [name for name in files(old) if "tile" not in name] == [name for name in before if "tile" not in name]


def test_a_purge_must_be_declared_and_not_too_early(old: Any, tools: Any) -> None:
    early = NOON + DAY_MS // 2 + 183 * DAY_MS
    with old.open(LATER) as journal:
        [by, wrong] = journal.append([tools.purge(301, early - 1), tools.purge(601, LATER)])
        for below, record in ((301, by), (301, wrong), (301, 611)):
            with pytest.raises(Broken):
                journal.purge(below, record)
        assert (old.folder / f"day/{FIRST}.jsonl.zst").exists()


def test_lost_tiles_after_a_purge_are_named(old: Any, tools: Any) -> None:
    run(old, tools, 601)
    shutil.rmtree(old.folder / "tile/1")
    report = verify(old.folder)
    assert [(problem.code, problem.file) for problem in report.problems] == [("tile_lost", "tile/1/000.p/2")]
    with pytest.raises(Broken, match=r"tile/1/000\.p/2 is missing.*purged"):
        old.open(LATER)


def test_a_lost_checkpoint_after_a_purge_is_made_again(old: Any, tools: Any) -> None:
    run(old, tools, 601)
    (old.folder / "checkpoint").unlink()
    with old.open(LATER) as journal:
        assert journal.get(journal.size - 1).fields == {"what": "unsigned", "count": journal.size - 1, "on": 0}
        journal.close(LATER)
    assert codes(old.folder) == []


def test_a_day_put_back_from_a_backup_goes_again(old: Any, tools: Any) -> None:
    backup = shutil.copy(old.folder / f"day/{SECOND}.jsonl.zst", old.data_dir / "backup")
    run(old, tools, 601)
    shutil.copy(backup, old.folder / f"day/{SECOND}.jsonl.zst")
    old.open(LATER).close(LATER)
    assert codes(old.folder) == []
    assert not (old.folder / f"day/{SECOND}.jsonl.zst").exists()


def test_an_erasure_in_a_day_whose_purge_was_cut_short(old: Any, tools: Any) -> None:
    """The record of the erasure is removed with the day, and is no longer looked for."""
    (old.data_dir / "special.json").unlink()
    with old.open(LATER) as journal:
        journal.append([tools.message("once more", LATER), tools.erase(Targets.of([(611, 0)]), LATER)])
        journal.erase(Targets.of([(611, 0)]), 613)
        journal.append([tools.message("much later", LATER + 200 * DAY_MS), tools.purge(614, LATER + 200 * DAY_MS)])
        journal.close(LATER)
    (old.folder / "min_index").write_text("614\n")  # and died
    with old.open(LATER + 200 * DAY_MS) as journal:
        assert (journal.unfinished, journal.size) == ("", 616)
    report = verify(old.folder)
    assert (report.problems, report.first) == ((), 614)


def test_a_min_index_that_no_record_declares_removes_nothing(old: Any) -> None:
    (old.folder / "min_index").write_text("601\n")
    old.open(LATER).close(LATER)
    assert (old.folder / f"day/{FIRST}.jsonl.zst").exists()
    assert codes(old.folder) == ["purge_undeclared"]


# Crashes


def purge_until(call: int, place: Any, tools: Any) -> int:
    def work(begin: Callable[[], None]) -> None:
        with place.open(LATER) as journal:
            begin()
            [by] = journal.append([tools.purge(601, LATER)])
            journal.purge(601, by)
            os._exit(0)  # the end of the log's block is not part of it

    return killed_at(call, work)


@pytest.mark.examples
def test_killed_at_any_call_to_the_file_system(old: Any, tools: Any) -> None:
    """At every moment the log can be checked and opened; opening finishes an interrupted purge."""
    call, ended, states = 1 - STRIDE, KILLED, set()
    while ended == KILLED:
        call += STRIDE
        victim = old.crash()
        ended = purge_until(call, victim, tools)
        assert ended in (KILLED, 0)
        assert codes(victim.folder) == []
        begun = (victim.folder / "min_index").exists()
        with victim.open(LATER) as journal:
            use(journal, tools)
        report = verify(victim.folder)
        assert (report.problems, report.first) == ((), 601 if begun else 0)
        assert (victim.folder / "tile/0/000").exists() is not begun
        assert not list(victim.folder.rglob("*.tmp"))
        states.add(begun)
        victim.keys.close()
    assert states == {False, True}
    assert call > 25


def use(journal: Journal, tools: Any) -> None:
    [index] = journal.append([tools.message("after", LATER)])
    assert journal.proof(index)
    journal.close(LATER)


# A day that has not come


class TestADayAhead:
    """The clock was far ahead for a moment, and a day was begun that had not come."""

    AHEAD = NOON + 200 * DAY_MS

    def begun(self, place: Any, tools: Any) -> None:
        with place.open() as journal:
            journal.append([tools.message()] * 3)
            journal.append([tools.message("ahead", self.AHEAD)] * 4)
            journal.append([tools.message("right again", NOON + 1)])
            journal.close(NOON + 1)

    def test_gets_its_place_and_the_log_goes_on(self, place: Any, tools: Any) -> None:
        self.begun(place, tools)
        with place.open(NOON + 2) as journal:
            assert journal.mend_future(NOON + 2) == "2026-11-25"
            journal.append([tools.message("on", NOON + 3)])
            journal.append([tools.message("later", NOON + 2 * DAY_MS)])
            assert journal.mend_future(NOON + 2 * DAY_MS) is None
            journal.close(NOON + 2 * DAY_MS)
        names = sorted(path.name for path in (place.folder / "day").iterdir())
        assert names == ["2026-11-24.jsonl.zst", "2026-11-25.jsonl.zst", "2026-11-26.jsonl"]
        assert verify(place.folder).problems == ()
        place.open(NOON + 2 * DAY_MS).close(NOON + 2 * DAY_MS)
        assert verify(place.folder).problems == ()

    def test_gets_its_place_once_more_if_something_of_that_time_is_written_later(self, place: Any, tools: Any) -> None:
        self.begun(place, tools)
        with place.open(NOON + 2) as journal:
            assert journal.mend_future(NOON + 2) == "2026-11-25"
            journal.append([tools.message("begun before the clock was right", self.AHEAD + 1)])
            journal.append([tools.message("on", NOON + 3)])
            assert journal.mend_future(NOON + 4) == "2026-11-26"
            journal.append([tools.message("on", NOON + 5)])
            journal.close(NOON + 5)
        assert verify(place.folder).problems == ()

    def test_is_no_way_to_hide_a_time(self, place: Any, tools: Any) -> None:
        """Only the note justifies the place: a file renamed by hand is reported."""
        self.begun(place, tools)
        (ahead,) = (place.folder / "day").glob("2027-*.jsonl")
        ahead.rename(place.folder / "day/2026-11-25.jsonl")
        report = verify(place.folder)
        assert {problem.code for problem in report.problems} == {"time"}
        assert [problem.index for problem in report.problems] == [4, 5, 6, 7]

    @pytest.mark.parametrize("now", [NOON, NOON + DAY_MS])
    def test_a_day_of_today_or_tomorrow_stays(self, place: Any, tools: Any, now: int) -> None:
        with place.open() as journal:
            journal.append([tools.message("a", NOON), tools.message("b", NOON + DAY_MS)])
            assert journal.mend_future(now) is None
            journal.close(now)
