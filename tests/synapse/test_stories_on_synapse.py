"""Stories of the door in which the homeserver has a say of its own, on a real Synapse.

That is who may do what (levels, bans, knocks, closed rooms), who is shown what was said, and what becomes of what was
removed. There are more in `tests/long/synapse/test_stories_on_synapse.py`. What only the bot decides is played on the
simulated homeserver alone (`tests/door`), whose answers `test_simulated_homeserver.py` compares with Synapse's.
`STORIES=synapse pytest tests/door` plays all of them on a real one.
"""

# ruff: noqa: F401 - pytest collects what is imported, with the fixtures of this folder
import pytest

from tests.door.bot.commands.test_measures import test_kicks_and_bans_happen_are_told_and_end
from tests.door.bot.effects.test_room_measures import (
    test_a_lockdown_silences_members_keeps_strangers_out_and_ends_by_itself,
)
from tests.door.bot.identity.test_verification_rooms import (
    test_a_knock_is_admitted_after_a_vouch_or_at_once_if_verified,
)

pytestmark = pytest.mark.usefixtures("short_waits")
