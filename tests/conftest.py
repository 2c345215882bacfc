"""Settings that all tests share. How long an example takes depends on the machine, so it fails no test."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("answerable", deadline=None)
settings.load_profile("answerable")

SLOW = ("synapse", "faults", "bench", "door")  # folders of tests that start processes and wait for them


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow ones first, evenly over the workers of xdist: what is left at the end is then short, and can be shared.

    Each worker begins with a slice of the list, one behind the other, and takes from others when it is done.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    slow = [item for item in items if _is_slow(item.path)]
    quick = [item for item in items if not _is_slow(item.path)]  # side by side as they were: some share what they need
    ends = [len(quick) * number // workers for number in range(workers + 1)]
    items[:] = [item for n in range(workers) for item in (*slow[n::workers], *quick[ends[n] : ends[n + 1]])]


def _is_slow(file: Path) -> bool:
    return not set(SLOW).isdisjoint(file.relative_to(Path(__file__).parent).parts)
