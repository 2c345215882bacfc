"""Settings that all tests share. How long an example takes depends on the machine, so it fails no test."""

import gc
import os
import shutil
import tempfile
from collections.abc import Generator
from functools import cache, partial
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings

from tests.examples import tried
from tests.postgres import shared
from tests.postgres.engines import engine
from tests.postgres.fixtures import own_postgres, postgres, postgres_tables_url, postgres_url
from tests.sources import sources
from tests.theatre import shared_synapse

__all__ = ["engine", "own_postgres", "postgres", "postgres_tables_url", "postgres_url", "sources"]  # fixtures

settings.register_profile("answerable", max_examples=tried(100), deadline=None)
settings.load_profile("answerable")

LONG = "long"
SLOW = (LONG, "synapse", "door", "browser")  # folders of tests that start processes and wait for them
LIMITED = "synapse_limited"
OPENING = "opening"
BROWSER = "browser"
SOURCES = "sources"
MEMORY = Path("/dev/shm")
ROOM = 2_000_000_000  # bytes; passed tests leave nothing behind, so far less is needed


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let Python look for garbage seldom, and never in what was collected, which stays to the end.

    To look through that takes a third of the time of collecting, and a tenth of that of the tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Let tests write into memory, where the system has such a folder with enough room.

    Tests kill processes and refuse writes, which shows the same there, but none cuts the power: to wait for a disk at
    each flush would show nothing. What a test or a program puts into the system's folder for such things lies in memory
    too, and goes at the end; `tmp_path` of a failed test stays.
    """
    if hasattr(config, "workerinput") or "PYTEST_DEBUG_TEMPROOT" in os.environ:
        return  # a worker of xdist has what the process that started it was given
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)
        folder = tempfile.mkdtemp(prefix="answerable-", dir=MEMORY)
        Path(folder).chmod(0o755)  # as the system's own: a test reads there as another user
        config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))
        os.environ["TMPDIR"] = tempfile.tempdir = folder
    shared.prepare(config)
    shared_synapse.prepare(config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each worker of xdist begin in another folder: each compiles its part of a new clone, and finds the rest done.

    `pytest_collection_modifyitems` sorts the tests again, as xdist wants the same order from all workers.
    """
    report = yield
    if isinstance(collector, pytest.Dir) and (given := getattr(collector.config, "workerinput", None)):
        first = int(given["workerid"].removeprefix("gw")) * len(report.result) // given["workercount"]
        report.result = report.result[first:] + report.result[:first]
    return report


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `make test-long` runs besides property tests."""
    if _folder(item.path) == LONG:
        item.add_marker(LONG)


@pytest.hookimpl(trylast=True)  # after those that are not asked for went
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow ones first, spread over the workers of xdist: what is left at the end is then short, and can be shared.

    Each worker begins with a slice of the list, one behind the other, and takes from others when it is done. Tests that
    share something stay together, so that it is made once.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    together: dict[object, list[pytest.Item]] = {}
    for item in sorted(items, key=lambda item: item.path):
        together.setdefault(_shared(item), []).append(item)
    slow = [tests for tests in together.values() if _is_slow(tests[0].path)]
    quick = [tests for tests in together.values() if not _is_slow(tests[0].path)]
    ends = [len(quick) * number // workers for number in range(workers + 1)]
    shares = [[*slow[n::workers], *quick[ends[n] : ends[n + 1]]] for n in range(workers)]
    items[:] = [item for share in shares for tests in share for item in tests]


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Let a worker of xdist send one report of a test that passed: those of what came before and after say nothing.

    To send and read one takes as long as many a test. Who asks for the slowest has them all.
    """
    if not hasattr(item.config, "workerinput") or item.config.getoption("durations"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _shared(item: pytest.Item) -> object:
    """Return what a test shares with others: something dear that few tests need, or what its file has."""
    names = getattr(item, "fixturenames", ())
    return next((name for name in (LIMITED, OPENING, BROWSER, SOURCES) if name in names), item.path)


def _is_slow(file: Path) -> bool:
    return _folder(file) in SLOW


@cache
def _folder(file: Path) -> str:
    return file.relative_to(Path(__file__).parent).parts[0]
