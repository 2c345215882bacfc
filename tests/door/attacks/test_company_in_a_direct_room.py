"""Somebody turns their direct room with the bot into a group: nothing is announced there, and others read along."""

import pytest

from moderation.model.actions.rooms import LeaveDirect
from moderation.values.ids import UserId
from tests.fuzz.world import ANN, BEN, World


@pytest.mark.parametrize("membership", ["invite", "join"])
def test_the_bot_leaves_a_direct_room_with_company_and_answers_nothing_there(world: World, membership: str) -> None:
    room = world.direct[ANN]
    assert world.door.say(room, ANN, "!credit")[1] != []
    event = world.door.read(room, ANN, "m.room.member", {"membership": membership}, state_key=BEN)
    assert world.door.take(event)[1] == [LeaveDirect(room=room, subject=UserId(ANN))]
    assert world.door.say(room, ANN, "!credit")[1] == []


def test_a_new_display_name_is_not_taken_for_company(world: World) -> None:
    content = {"membership": "join", "displayname": "Ann B."}
    assert world.door.take(world.door.read(world.direct[ANN], ANN, "m.room.member", content, state_key=ANN))[1] == []
