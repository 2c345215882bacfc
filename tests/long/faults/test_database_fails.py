"""The database of a bot stops, is out of reach, full, or replaced by a copy that lost its end: all is done once.

Rules kept here:
- The bot ends with one line that says what to do, or waits; it is started again as a service manager does.
- What can be seen at the end is what can be seen without a fault.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.long.faults.people import again
from tests.long.faults.play import Play
from tests.long.faults.running import Place, text_of
from tests.long.faults.scene import Start, again_at, scene
from tests.long.faults.seen import Seen, different, seen
from tests.long.faults.stories.away import AWAY
from tests.long.faults.two_machines import OnPostgres
from tests.postgres.keeper import DATA
from tests.postgres.server import Server
from tests.postgres.shared import END_SESSIONS

FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON answerable_shared.log EXECUTE FUNCTION full_disk();
"""
ROOM_AGAIN = "DROP TRIGGER full_disk ON answerable_shared.log"
MORE = 20  # messages that are said once the disaster has begun

Disaster = Callable[[OnPostgres, Server, Play], Awaitable[None]]


async def more_is_said(play: Play) -> None:
    """Give the bot more to record, however far the story has come by now; nothing follows from it."""
    for number in range(MORE):
        await play.say("cat", f"bread {number}", play.room)


async def restarted(running: OnPostgres, server: Server, play: Play) -> None:
    await asyncio.to_thread(server.restart)
    await more_is_said(play)


async def away_for_a_while(running: OnPostgres, server: Server, play: Play) -> None:
    await asyncio.to_thread(server.kill)
    await more_is_said(play)
    await _until(lambda: "database_away" in text_of(running.folder / "stderr"))
    await asyncio.to_thread(server.start)


async def full(running: OnPostgres, server: Server, play: Play) -> None:
    with closing(psycopg.connect(running.url, autocommit=True)) as db:
        db.execute(FULL)
        before = running.deaths
        await more_is_said(play)
        await _until(lambda: running.deaths > before)
        db.execute(ROOM_AGAIN)


async def replaced_by_an_older_copy(running: OnPostgres, server: Server, play: Play) -> None:
    """Let the server take a copy of itself, the bot go on for a while, and the copy then take the server's place."""
    data, copy = server.folder / DATA, server.folder / "copy"
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(subprocess.run, ["cp", "-a", str(data), str(copy)], check=True)  # with its owner
    await asyncio.to_thread(server.start)
    size = len(_lines(running))
    await more_is_said(play)
    await _until(lambda: len(_lines(running)) >= size + MORE)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(shutil.rmtree, data)
    await asyncio.to_thread(copy.rename, data)
    await asyncio.to_thread(server.start)


WHAT_IT_SAYS: dict[Disaster, str] = {
    restarted: "PostgreSQL",
    away_for_a_while: "PostgreSQL",
    full: "space",
    replaced_by_an_older_copy: "",
}


@pytest.mark.parametrize("disaster", WHAT_IT_SAYS, ids=lambda each: each.__name__)
async def test_whatever_happens_to_the_database_nothing_is_lost_or_done_twice(
    tmp_path: Path, own_postgres: Server, disaster: Disaster
) -> None:
    start = await scene(tmp_path / "scene", AWAY, bot=partial(OnPostgres, own_postgres.url()))
    _copy(own_postgres, "peace", "story")
    peace, _ = await _played(start, tmp_path / "peace", own_postgres, None)
    found, running = await _played(start, tmp_path / "story", own_postgres, disaster)
    assert different(peace, found) == {}
    assert running.deaths >= 1
    for line in [each for each in text_of(running.folder / "stderr").splitlines() if '"ended' in each]:
        said = json.loads(line)
        assert said["event"] == "ended", line
        assert WHAT_IT_SAYS[disaster] in said["why"]
    assert ("database_went_back" in text_of(running.folder / "stderr")) == (disaster is replaced_by_an_older_copy)


def _copy(server: Server, *names: str) -> None:
    """Copy the tables of the scene into databases of these names."""
    with closing(psycopg.connect(server.url("template1"), autocommit=True)) as db:
        db.execute(END_SESSIONS, ("postgres",))
        for name in names:
            db.execute(f'CREATE DATABASE "{name}" TEMPLATE postgres'.encode())


async def _played(start: Start, where: Path, server: Server, disaster: Disaster | None) -> tuple[Seen, OnPostgres]:
    """Play the story in a folder, with its tables in the database of the same name."""
    shutil.copytree(start.folder / "data", where / "data")
    async with again_at(start) as homeserver:
        bot = partial(OnPostgres, server.url(where.name))
        running = start.running(where, homeserver, Place(where / "data"), bot)
        assert isinstance(running, OnPostgres)
        people = await again(homeserver, start.people, where / "people", start.accounts, start.tokens)
        play: Play = start.story.play(running, people, start.room, start.desk)
        play.before(start.meanwhile)
        await running.start()
        happening = asyncio.create_task(_when_a_case_is_open(running, server, play, disaster)) if disaster else None
        await play.until_over()
        if happening is not None:
            await running.until(happening.done, "the end of the disaster")
            await happening
            await play.until_over()
        await running.stop()
        assert running.exits[-1] == 0, text_of(where / "stderr")
        return seen(play), running


async def _when_a_case_is_open(running: OnPostgres, server: Server, play: Play, disaster: Disaster) -> None:
    await _until(lambda: bool(running.rows("SELECT 1 FROM cases")))
    await disaster(running, server, play)


def _lines(running: OnPostgres) -> list[bytes]:
    return b"".join(path.read_bytes() for path in (running.place.data / "records" / "day").iterdir()).splitlines()


async def _until(look: Callable[[], bool], within_s: float = 120.0) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + within_s
    while not look():
        assert loop.time() < ends
        await asyncio.sleep(0.02)
