"""Which worker keeps to which core."""

import os

import pytest

from tests.theatre.one_core import core_of, on_one_core

has_cores = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no such call")


def test_each_core_has_equally_many_workers() -> None:
    assert [core_of(number, 4, {2, 5}) for number in range(4)] == [2, 5, 2, 5]


def test_where_they_cannot_be_shared_out_equally_the_system_decides() -> None:
    assert [core_of(number, 6, range(4)) for number in range(6)] == [None] * 6


@has_cores
def test_the_block_has_one_core_and_what_follows_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.sched_getaffinity(0)
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(len(cores)))
    with on_one_core():
        inside = os.sched_getaffinity(0)
    assert (inside, os.sched_getaffinity(0)) == ({min(cores)}, cores)


@has_cores
def test_a_process_alone_has_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    cores = os.sched_getaffinity(0)
    with on_one_core():
        assert os.sched_getaffinity(0) == cores
