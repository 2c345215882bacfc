"""`answerable check` says what is wrong with a clock: against the homeserver's, in the log, and by the running bot."""

import asyncio
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web

from moderation.values.durations import DAY_MS
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.line_format import day_of
from storage.journal.record import Draft
from storage.journal.record_keys import PersonKeys
from tests.unit.bot.cli.conftest import HEAD, NOW, Answerable

HOUR_MS = 3_600_000


def on_the_clock(answerable: Answerable) -> dict[str, tuple[str, str]]:
    """Return the findings about the clock, as key -> state and text."""
    found = answerable("check", "--json").json
    return {each["key"]: (each["state"], each["text"]) for each in found if each["check"] == "clock"}


def write(data_dir: Path, *times: int, now: int = NOW, mended: bool = False) -> None:
    """Write a log with a record of each of these times."""
    keys = PersonKeys.open(DatabasePlace(data_dir))
    with Journal.open(data_dir, "example.org/answerable", keys, times[0]) as journal:
        for at in times:
            journal.append([Draft("coverage", at, fields={"what": "gap", "count": 1})])
        assert not mended or journal.mend_future(now) is not None
        journal.close(max(times))
    keys.close()


@pytest.mark.parametrize(
    ("apart_s", "key", "state"),
    [(0, "clock", "ok"), (20, "clock_off", "warning"), (-20, "clock_off", "warning"), (-600, "clock_far", "problem")],
)
async def test_the_homeservers_clock_is_compared(
    answerable: Answerable, config_file: Path, apart_s: int, key: str, state: str
) -> None:
    async def versions(_request: web.Request) -> web.Response:
        return web.json_response(
            {"versions": ["v1.11"]}, headers={"Date": formatdate(time.time() + apart_s, usegmt=True)}
        )

    app = web.Application()
    app.router.add_get("/_matrix/client/versions", versions)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    await asyncio.to_thread(config_file.write_text, HEAD.replace("127.0.0.1:1", f"127.0.0.1:{port}"))
    found = await asyncio.to_thread(on_the_clock, answerable)
    await runner.cleanup()
    assert {each: found[each][0] for each in found} == {key: state}


def test_a_clock_that_goes_on_evenly_is_no_finding(answerable: Answerable, empty: Path) -> None:
    write(empty, NOW - DAY_MS, NOW)
    assert on_the_clock(answerable) == {}


def test_a_clock_that_was_set_back_is_told_with_the_number_of_records(answerable: Answerable, empty: Path) -> None:
    write(empty, NOW - HOUR_MS, NOW - 3 * HOUR_MS)
    state, said = on_the_clock(answerable)["clock_jumped"]
    assert (state, f"do not fit: 1, the last found on {day_of(NOW - 3 * HOUR_MS)}" in said) == ("note", True)


def test_an_open_day_that_has_not_come_is_a_problem_until_it_is_moved(answerable: Answerable, empty: Path) -> None:
    write(empty, NOW, NOW + 200 * DAY_MS)
    state, said = on_the_clock(answerable)["clock_day_ahead"]
    assert (state, day_of(NOW + 200 * DAY_MS) in said) == ("problem", True)


def test_after_the_day_was_moved_only_the_wrong_times_are_told(answerable: Answerable, empty: Path) -> None:
    write(empty, NOW, NOW + 200 * DAY_MS, mended=True)
    assert [(key, state) for key, (state, _) in on_the_clock(answerable).items()] == [("clock_jumped", "note")]


def test_a_damaged_log_is_left_to_other_checks(answerable: Answerable, empty: Path) -> None:
    write(empty, NOW)
    (day,) = (empty / "records" / "day").iterdir()
    day.write_bytes(b'{"what":"clock"}\n')
    assert on_the_clock(answerable) == {}
