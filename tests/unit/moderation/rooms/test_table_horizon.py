"""Events stay in the tables as long as the settings let anything read many of them."""

from typing import Any

import pytest

from moderation.policy import Policy
from moderation.rooms.table_horizon import events_stay_ms
from moderation.values.durations import DAY_MS

FLOOD = {"name": "flood", "kind": "flood", "class": "minor", "messages": 9, "within": "40d"}


@pytest.mark.parametrize(
    ("settings", "days"),
    [
        ({}, 11),  # a case may wait for three days with each of three levels, and be put off by a day
        ({"sweep": {"within": "30d"}}, 31),
        ({"rules": [FLOOD]}, 41),
        ({"cases": {"deadlines": {"serious": "10d"}}}, 32),
        ({"cases": {"deadlines": {"minor": "1h", "moderate": "1h", "serious": "1h"}}}, 8),  # sweeps, and rules on trial
    ],
)
def test_it_follows_from_the_longest_time_in_the_settings(settings: dict[str, Any], days: int) -> None:
    assert -(-events_stay_ms(Policy.model_validate(settings)) // DAY_MS) == days
