"""Several processes find the same as one would, in the same order, and none is left behind."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.journal.days import list_days
from storage.journal.report import VerifyReport
from storage.journal.verify import pool
from storage.journal.verify.days import read_days
from storage.journal.verify.lines import Batch, check_lines
from storage.journal.verify.verify import verify

NOON, DAY_MS = 1_795_521_600_000, 86_400_000


@pytest.fixture(scope="module")
def log(new_place: Callable[[], Any], tools: Any) -> Any:
    """Provide a log of two days and some megabytes."""
    place = new_place()
    with place.open() as journal:
        for day in (0, 1):
            journal.append([tools.message("x" * 400, NOON + day * DAY_MS)] * 4000)
        journal.close(NOON)
    return place


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat any log as large, on a machine with three processors."""
    monkeypatch.setattr(pool, "PAYS_FROM", 0)
    monkeypatch.setattr(pool, "processors", lambda: 3)


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_the_report_is_the_same(log: Any, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    started: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        started.append(len(children()))

    before = children()
    spoiled = log.crash()
    spoiled.change("day/2026-11-25.jsonl", b'"body":"x', b'"body":"y')
    reports = [verify(log.folder, progress=progress), verify(spoiled.folder)]
    assert (max(started) - len(before), children()) == (3, before)
    assert seen == sorted(seen)
    monkeypatch.setattr(pool, "PAYS_FROM", 10**12)
    assert reports == [verify(log.folder), verify(spoiled.folder)]
    assert [problem.code for problem in reports[1].problems] == ["part"]


@pytest.mark.parametrize(("most", "count"), [(1, 0), (2, 2), (9, 3)])
def test_no_more_processes_are_started_than_allowed(log: Any, at_once: None, most: int, count: int) -> None:
    before, started = children(), set[int]()
    report = verify(log.folder, progress=lambda _done, _total: started.add(len(children() - before)), processes=most)
    assert (report.problems, max(started)) == ((), count)


def test_a_process_that_dies_is_done_without(log: Any, at_once: None) -> None:
    before = children()

    def kill(done: int, total: int) -> None:
        for child in children() - before:
            os.kill(child, signal.SIGKILL)

    report: VerifyReport = verify(log.folder, progress=kill)
    assert (report.problems, report.records) == ((), 8001)


def test_processes_that_cannot_be_started_are_done_without(
    log: Any, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert verify(log.folder).problems == ()


def test_an_interrupted_check_stops_its_processes(log: Any, at_once: None) -> None:
    before = children()

    class Enough(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        verify(log.folder, progress=stop)
    assert children() == before


def test_results_keep_their_order_and_other_things_their_place(log: Any, at_once: None) -> None:
    items = list(read_days(list_days(log.folder / "day"), 0))
    found = list(pool.check_all(items, 1))
    assert [item for item, _ in found] == items
    assert [checked for _, checked in found] == [
        check_lines(item) if isinstance(item, Batch) else None for item in items
    ]
