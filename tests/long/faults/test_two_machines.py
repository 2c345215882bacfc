"""A bot on two machines with one database: whatever happens to one of them, everything is done once, in one log.

`make test-long` plays a seeded sample of the faults; `make faults` kills the leader at every step in turn.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from storage.journal.verify.verify import verify
from tests.long.faults.fault import Fault
from tests.long.faults.perform import LONG, perform, perform_killed
from tests.long.faults.scene import Start, again_at, scene
from tests.long.faults.seen import Seen, different
from tests.long.faults.stories.away import AWAY
from tests.long.faults.two_machines import OnPostgres, TwoMachines
from tests.postgres.shared import Databases

SAMPLE = 3
TAKES_S = 300.0


@pytest.fixture
async def opened(tmp_path: Path, postgres: Databases, postgres_url: str) -> Start:
    """Provide the scene of a story, with the tables of its bot in `postgres_url`."""
    return await scene(tmp_path / "scene", AWAY, bot=partial(OnPostgres, postgres_url))


async def played(start: Start, folder: Path, fault: Fault, url: str) -> tuple[Seen, TwoMachines]:
    """Play the story on two machines; both have the same log afterwards."""
    made: list[TwoMachines] = []

    def bot(*arguments: Any, **more: Any) -> TwoMachines:
        made.append(TwoMachines(url, *arguments, **more))
        return made[-1]

    seen = await perform(start, folder, fault, bot=bot)
    ours, theirs = made[-1].logs()
    assert ours == theirs
    for machine in made[-1].machines:
        assert verify(machine.data / "records").problems == ()
    return seen, made[-1]


def _name_in(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


@pytest.mark.timeout(0 if LONG else 900)
async def test_killed_at_any_step_the_leader_leaves_nothing_undone_and_nothing_is_done_twice(
    opened: Start, tmp_path: Path, postgres: Databases, postgres_url: str
) -> None:
    async def play(folder: Path, fault: Fault) -> Seen:
        with postgres.new(template=_name_in(postgres_url)) as url:
            seen, pair = await played(opened, folder, fault, url)
            assert pair.leader()[0] >= 2
            return seen

    peace = await play(tmp_path / "peace", Fault())
    assert different(peace, peace) == {}
    tally = await perform_killed(opened, peace, tmp_path, SAMPLE, play=play)
    assert tally.wrong == {}


async def test_a_leader_that_was_paused_dies_without_writing_a_line_when_it_wakes(
    opened: Start, tmp_path: Path, postgres_url: str
) -> None:
    loop = asyncio.get_running_loop()
    async with again_at(opened) as server:
        pair = TwoMachines(
            postgres_url, tmp_path / "pair", server, opened.session, opened.config, _place(opened, tmp_path)
        )
        await pair.start()
        await pair.until(partial(_is_followed, pair), "one to lead and the other to follow")
        leader, other = (pair.one, pair.other) if pair.one.leads() else (pair.other, pair.one)
        assert leader.program is not None
        leader.program.pause()
        began, epoch, before = loop.time(), pair.leader()[0], other.ready()
        await pair._until(lambda: other.leads() and other.ready() > before)
        print(f"\ntaken over within {loop.time() - began:.1f} s")
        await pair._until(pair.is_idle)
        lines = _table(postgres_url)
        mine = leader.records()
        leader.program.resume()
        assert await leader.ended() == 75
        assert (leader.records(), _table(postgres_url)[: len(lines)]) == (mine, lines)
        assert _events(leader)[-1] == "superseded"
        assert pair.leader()[0] == epoch + 1
        leader.start()
        await pair._until(lambda: _events(leader)[-1] == "standing_by")
        await pair.stop()
        ours, theirs = pair.logs()
        assert ours == theirs
        for machine in pair.machines:
            assert verify(machine.data / "records").problems == ()


def _place(start: Start, tmp_path: Path) -> Any:
    import shutil

    from tests.long.faults.running import Place

    shutil.copytree(start.folder / "data", tmp_path / "pair" / "data")
    return Place(tmp_path / "pair" / "data")


def _is_followed(pair: TwoMachines) -> bool:
    """Tell whether one is ready and the other stands by, whichever it is: a busy machine may have lost the lead."""
    followers = [machine for machine in pair.machines if not machine.leads()]
    return pair._is_calm() and [_events(machine)[-1:] for machine in followers] == [["standing_by"]]


def _events(machine: Any) -> list[str]:
    return [str(each["event"]) for each in machine.events()]


def _table(url: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute("SELECT idx, day, line FROM answerable_shared.log ORDER BY idx").fetchall()
