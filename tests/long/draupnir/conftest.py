"""The fixtures of `tests/door`: the whole bot, and people, on a simulated homeserver."""

from tests.door.conftest import bots_database, lasting_databases, stage  # noqa: F401
from tests.theatre.fixtures import short_waits, stage_on_synapse, synapse, theatre  # noqa: F401
