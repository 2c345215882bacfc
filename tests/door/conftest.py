"""Fixtures for stories about our own decisions: the whole bot, and people, on a simulated homeserver.

`test_stories_on_synapse.py`, in `tests/synapse` and `tests/long/synapse`, plays those on a real one in which the
homeserver has a say of its own; with STORIES=synapse in the environment, all of them are. With DATABASE=postgresql the
bots keep their state on PostgreSQL; without, they do it in the tests of `ON_BOTH`, too, and the tests that touch
the database most are in `tests/long/postgresql`. Stories of many bots, kills or messages are in
`tests/long/door`, which has these fixtures too.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from tests.fakes.homeserver import SimulatedHomeserver
from tests.postgres.engines import ENGINES, SQLITE
from tests.theatre.engine import Block, BotsDatabases, on_postgresql
from tests.theatre.fixtures import at_noon, line, quick_logins, short_waits, stage_on_synapse, synapse, theatre  # noqa: F401
from tests.theatre.simulated import SimulatedAccounts
from tests.theatre.stage import Stage

# Which tests run on both databases: those that are named, or all of a file.
ON_BOTH: dict[str, tuple[str, ...]] = {
    "door/bot/test_killed.py": (),
    "door/bot/exchange/test_receiving.py": (
        "test_a_charge_counts_in_the_other_shard_and_is_told_with_its_proof",
        "test_nothing_is_learnt_twice",
        "test_what_no_record_can_hold_is_refused_and_what_comes_after_it_is_taken",
    ),
}
# What is about files of SQLite, and why it can be of nothing else; or names its database itself.
ON_SQLITE = {
    "long/door/test_database_move.py": "each test names both databases: what is moved begins in files",
    "door/bot/cli/test_end_missing.py": "an end cut off the day file is put back from the table of PostgreSQL",
    "door/bot/cli/test_older_version.py": "the older version knew files alone",
    "long/door/test_one_line_for_all.py": "its settings name the database that its shards share",
    "long/door/test_two_shards.py": "its settings name the database that its shards share",
    "door/bot/pipeline/test_many_rooms.py": "what SQLite reads for a query, step by step",
}
_TESTS = Path(__file__).parents[1]
_DATABASE = os.environ.get("DATABASE", SQLITE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run some tests on both databases."""
    file = metafunc.definition.path.relative_to(_TESTS).as_posix()
    if _DATABASE == SQLITE and file in ON_BOTH and (metafunc.function.__name__ in ON_BOTH[file] or not ON_BOTH[file]):
        metafunc.parametrize("bots_database", ENGINES, indirect=True)


@pytest.fixture(scope="session")
def lasting_databases(request: pytest.FixtureRequest) -> Iterator[BotsDatabases | None]:
    """Provide the databases of what several tests share; None on SQLite."""
    if _DATABASE == SQLITE:
        yield None
        return
    with closing(BotsDatabases(request.getfixturevalue("postgres"))) as lasting:
        yield lasting


@pytest.fixture(scope="session")
def as_bots_do(lasting_databases: BotsDatabases | None) -> Block:
    """Provide the block in which a fixture for several tests makes a deployment, on the same database as they do."""
    return lambda: nullcontext() if lasting_databases is None else on_postgresql(lasting_databases)


@pytest.fixture(autouse=True)
def bots_database(request: pytest.FixtureRequest, lasting_databases: BotsDatabases | None) -> Iterator[str]:
    """Let the bots of a test keep their state on SQLite or PostgreSQL; the name of the database."""
    name = getattr(request, "param", _DATABASE)
    if name == SQLITE or request.path in [_TESTS / each for each in ON_SQLITE]:
        yield SQLITE
        return
    with (
        closing(BotsDatabases(request.getfixturevalue("postgres"), lasting_databases)) as databases,
        on_postgresql(databases),
    ):
        yield name


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
