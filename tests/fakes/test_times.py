"""The clocks of tests: a story that begins at noon is over before midnight, whenever it is played."""

from email.utils import parsedate_to_datetime

import pytest
from aiohttp import ClientSession

from moderation.values.durations import DAY_MS, HOUR_MS
from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.times import clock_at, noon_after, noon_clock

MIDNIGHT = 20_000 * DAY_MS
NOON = MIDNIGHT + 12 * HOUR_MS


@pytest.mark.parametrize(
    ("now_ms", "noon_ms"),
    [
        (MIDNIGHT, NOON),
        (NOON - 1, NOON),
        (NOON, NOON),
        (NOON + 1, NOON + DAY_MS),
        (MIDNIGHT + DAY_MS - 1, NOON + DAY_MS),
    ],
)
def test_noon_is_the_next_one(now_ms: int, noon_ms: int) -> None:
    assert noon_after(now_ms) == noon_ms


def test_a_clock_that_begins_at_noon_sees_no_midnight_of_the_machine() -> None:
    machine = [MIDNIGHT - 1_000]
    clock = noon_clock(lambda: machine[0])
    begun = clock()
    machine[0] += 2_000
    assert (begun, clock()) == (NOON, NOON + 2_000)


async def test_a_simulated_homeserver_shows_its_clock_in_events_and_answers() -> None:
    async with SimulatedHomeserver(clock=clock_at(NOON)) as server, ClientSession() as session:
        user, _, _ = server.account("ann")
        room = server.world.create(user, {})
        async with session.get(f"{server.url}/_matrix/client/versions") as answer:
            dated = parsedate_to_datetime(answer.headers["Date"]).timestamp() * 1_000
        shown = [dated, *(event.raw["origin_server_ts"] for event in room.events)]
        assert [at for at in shown if not NOON <= at < NOON + HOUR_MS] == []
