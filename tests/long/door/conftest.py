"""The fixtures of `tests/door`."""

from tests.door.conftest import as_bots_do, bots_database, lasting_databases, stage  # noqa: F401
from tests.theatre.fixtures import at_noon, line, short_waits, stage_on_synapse, synapse, theatre  # noqa: F401
