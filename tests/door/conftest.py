"""Fixtures for stories about our own decisions: the whole bot, and people, on a simulated homeserver.

`tests/synapse/test_stories_on_synapse.py` plays those on a real one in which the homeserver has a say of its own; with
STORIES=synapse in the environment, all of them are.
"""

import os
from collections.abc import AsyncIterator

import pytest

from tests.fakes.homeserver import SimulatedHomeserver
from tests.theatre.fixtures import short_waits, stage_on_synapse, synapse, theatre  # noqa: F401
from tests.theatre.simulated import SimulatedAccounts
from tests.theatre.stage import Stage

if os.environ.get("STORIES") == "synapse":

    @pytest.fixture
    def stage(stage_on_synapse: Stage) -> Stage:
        """Provide people, bots and rooms on a real homeserver."""
        return stage_on_synapse

else:

    @pytest.fixture
    async def stage() -> AsyncIterator[Stage]:
        """Provide people, bots and rooms on a simulated homeserver."""
        async with SimulatedHomeserver(name="localhost") as homeserver, Stage(SimulatedAccounts(homeserver)) as stage:
            yield stage
