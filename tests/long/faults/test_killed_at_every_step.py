"""Killed at any step at which something becomes durable or leaves the process, the bot has done everything once.

`make test-long` plays a seeded sample. `make faults` plays every step in turn and random instants, except for the two
longest stories, encrypted, which it plays a hundred times.
"""

from pathlib import Path

import pytest

from tests.long.faults.conftest import Opening
from tests.long.faults.perform import LONG, perform_killed
from tests.long.faults.scene import Story
from tests.long.faults.stories.away import AWAY
from tests.long.faults.stories.deadlines import DEADLINES
from tests.long.faults.stories.everywhere import EVERYWHERE
from tests.long.faults.stories.listed_servers import LISTED_SERVERS
from tests.long.faults.stories.lists import LISTS
from tests.long.faults.stories.published import PUBLISHED
from tests.long.faults.stories.refused import REFUSED
from tests.long.faults.stories.spammers import SPAMMERS

# Story, encrypted, at how many places in `make test-long` (0: not there), at how many at most in `make faults`.
STORIES = (
    (AWAY, False, 3, None),
    (AWAY, True, 3, None),
    (DEADLINES, False, 2, None),
    (DEADLINES, True, 0, 100),
    (EVERYWHERE, False, 2, None),
    (EVERYWHERE, True, 0, 100),
    (LISTED_SERVERS, False, 2, None),
    (LISTS, False, 2, None),
    (PUBLISHED, False, 2, None),
    (REFUSED, False, 2, None),
    (SPAMMERS, False, 2, None),
    (SPAMMERS, True, 0, 100),
)
CASES = [
    pytest.param(*each, id=f"{each[0].name}-{'encrypted' if each[1] else 'clear'}")
    for each in STORIES
    if LONG or each[2]
]


@pytest.mark.timeout(0 if LONG else 600)
@pytest.mark.parametrize(("story", "encrypted", "sample", "most"), CASES)
async def test_killed_at_any_step_the_bot_loses_nothing_and_does_nothing_twice(
    opening: Opening, tmp_path: Path, story: Story, encrypted: bool, sample: int, most: int | None
) -> None:
    start, peace = await opening(story, encrypted=encrypted)
    said = {event.raw["type"] for _, event in start.server.world.order}
    assert ("m.room.encrypted" in said, "m.room.message" in said) == (encrypted, not encrypted)
    tally = await perform_killed(start, peace, tmp_path, sample, most)
    assert tally.wrong == {}
