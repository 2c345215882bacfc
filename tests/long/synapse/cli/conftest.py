"""A deployment, and a terminal as an operator has it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.demo.synapse import Synapse
from tests.long.synapse.cli.deployment import Deployment, new_deployment


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("ANSWERABLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")
    umask = os.umask(0o022)  # of this process, which the commands change
    yield
    os.umask(umask)


@pytest.fixture
async def deployment(synapse: Synapse, tmp_path: Path) -> Deployment:
    return await new_deployment(synapse, tmp_path)
