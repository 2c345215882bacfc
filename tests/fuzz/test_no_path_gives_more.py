"""No path gives anybody more rights than they have, whatever they say or press, wherever, and however long.

There are two searches. The first says and presses anything anywhere, and checks rights (`rights.py`). The second plays
the people of a hostile room, for days if necessary, and checks the people of another community (`elsewhere.py`). The
rights are written down here a second time, from the documents and not from the code.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moderation.model.facts import FACTS, CaseAssigned, CaseGrew
from tests.examples import tried
from tests.fuzz.door import OPERATOR, defects
from tests.fuzz.elsewhere import changed, everybody_elsewhere, play
from tests.fuzz.moves import Move
from tests.fuzz.rights import ALLOWED, breaches
from tests.fuzz.said import event_of, steps
from tests.fuzz.scenes import scripts
from tests.fuzz.world import ANN, BANNED, BEN, GONE, GROUP, MAX, MIA, OWNER, World

TRIES = tried(90)  # each of up to ten things said or pressed
SCRIPTS = tried(30)  # each of eight scenes or more, of a few moves

options = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Provide one world for all inputs: decisions and measures accumulate, levels stay (nothing is sent)."""
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    assert world.door.problems() == ()
    world.door.close()


@settings(options, max_examples=TRIES)
@example(said=[(MAX, "direct", f"!case {'9' * 20}", "plain", 0)])  # more than a database holds
@example(said=[(MAX, "direct", f"!uphold #{'1' * 1500}", "plain", 0)])
@example(said=[(BANNED, "direct", f"!credit {OWNER} G-2222", "plain", 0)])  # a ban leaves the level standing
@example(said=[(GONE, "direct", "!lang zh room G-2222", "plain", 0)])
@example(said=[(MAX, "desk", f"!vouch {ANN}", "plain", 0)])  # counts in that room's community alone
@example(said=[(MIA, "desk", f"!uphold {n} why", "plain", 0) for n in range(1, 13)])
@given(said=st.lists(steps, min_size=1, max_size=10))
def test_nobody_gets_more_done_than_their_rights_by_any_command_or_reaction(world: World, said: list[Any]) -> None:
    check_steps(world, said)


def check_steps(world: World, said: list[Any]) -> None:
    """Check the steps one after the other."""
    for step in said:
        (facts, actions), wrong = defects(lambda step=step: world.took(event_of(world, step)))  # type: ignore[misc]
        assert wrong == [], step
        assert breaches(world, step[0], facts, actions) == [], step


def test_people_with_a_right_can_use_it(world: World) -> None:
    """Else a bot that refuses everything would do as well."""

    def does(speaker: str, place: Any, body: str) -> list[str]:
        event = world.door.read(place, speaker, "m.room.message", {"msgtype": "m.text", "body": body})
        facts, _ = world.took(event)
        return [type(fact).__name__ for fact in facts if getattr(fact, "by", "") == speaker]

    desk = world.desks[GROUP]
    assert does(MAX, desk, f"!warn {BEN} why") == ["CaseOpened", "SanctionStarted"]
    assert does(OWNER, desk, f"!warn {MAX} why") == ["CaseOpened", "SanctionStarted"]
    assert does(str(OPERATOR), world.direct[str(OPERATOR)], f"!warn {OWNER} G-2222") == [
        "CaseOpened",
        "SanctionStarted",
    ]
    assert does(MAX, desk, f"!warn {OWNER} why") == []
    assert does(BANNED, world.direct[BANNED], f"!warn {ANN} why G-2222") == []


def test_every_fact_with_a_doer_is_looked_at() -> None:
    doers = {kind for kind in FACTS if "by" in {field.name for field in fields(kind)}}
    # Set by hand: the homeserver says whether they may; what a homeserver asked about, by no person; and what was
    # ordered in another shard, where it was looked at.
    by_no_command = {"RoomListed", "MessageWithheld", "Learnt"}
    assert {kind.__name__ for kind in doers - ALLOWED.keys()} == by_no_command
    assert CaseAssigned not in doers and CaseGrew not in doers


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Provide a closed world in which nothing waits for anybody; each script begins in a copy of it."""
    return quiet_world(tmp_path_factory.mktemp("quiet"))


def quiet_world(folder: Path) -> World:
    """Create such a quiet world in a folder."""
    world = World(folder, cases=False)
    world.door.close()
    return world


@settings(options, max_examples=SCRIPTS)
@given(script=scripts)
def test_nothing_in_a_hostile_room_changes_anything_in_another(
    quiet: World, script: tuple[list[Move], list[Move]]
) -> None:
    check_script(quiet, script)


def check_script(quiet: World, script: tuple[Sequence[Move], Sequence[Move]]) -> None:
    """Check a script in a world of its own: earlier events in the group, then moves of the hostile people."""
    before, moves = script
    with tempfile.TemporaryDirectory() as folder:
        world = quiet.again(Path(folder))
        try:
            for move in before:
                world.took(move.made(world))  # type: ignore[union-attr]
            world.door.deliver()
            world.door.newly_queued()
            stood = everybody_elsewhere(world)
            for number, move in enumerate(moves):
                wrong = play(world, move)
                assert not wrong, f"{wrong} by move {number}: {move}"
            wrong = changed(stood, everybody_elsewhere(world))
            assert not wrong, wrong
        finally:
            world.door.close()
