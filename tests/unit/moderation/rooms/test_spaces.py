"""The state of a space as a list of rooms."""

from typing import Any

import pytest

from moderation.model.facts import RoomListed
from moderation.rooms.spaces import changes, is_space
from moderation.values.ids import RoomId, UserId

SPACE, GARDEN, KITCHEN = RoomId("!space"), RoomId("!garden:example.org"), RoomId("!kitchen")
OLGA = UserId("@olga:example.org")


def child(room: object, content: object = None, sender: object = OLGA) -> dict[str, Any]:
    shown = {"via": ["example.org"]} if content is None else content
    return {"type": "m.space.child", "state_key": room, "content": shown, "sender": sender}


def listed(room: RoomId, what: Any = "listed", by: UserId = OLGA) -> RoomListed:
    return RoomListed(room=SPACE, what=what, child=room, by=by)


def test_a_new_room_is_recorded_once_with_the_person_who_listed_it() -> None:
    state = [child(KITCHEN), child(GARDEN), {"type": "m.room.name", "state_key": "", "content": {"name": "Club"}}]
    assert changes(SPACE, state, ()) == (listed(GARDEN), listed(KITCHEN))
    assert changes(SPACE, state, {GARDEN}) == (listed(KITCHEN),)
    assert changes(SPACE, state, {GARDEN, KITCHEN}) == ()


@pytest.mark.parametrize("content", [{}, {"via": []}, {"via": "example.org"}, {"suggested": True}, [], "x"])
def test_without_a_server_by_which_to_enter_a_room_is_not_listed(content: object) -> None:
    assert changes(SPACE, [child(GARDEN, content)], ()) == ()
    assert changes(SPACE, [child(GARDEN, content)], {GARDEN}) == (listed(GARDEN, "unlisted"),)


def test_a_vanished_entry_is_removed_without_an_actor() -> None:
    assert changes(SPACE, [], {GARDEN}) == (listed(GARDEN, "unlisted", UserId("")),)


@pytest.mark.parametrize("room", ["", "#garden:example.org", "@olga:example.org", None, 3])
def test_an_invalid_room_id_is_not_listed(room: object) -> None:
    assert changes(SPACE, [child(room)], ()) == ()


def test_a_parent_chosen_by_a_room_has_no_effect() -> None:
    parent = {**child(GARDEN), "type": "m.space.parent"}
    assert changes(SPACE, [parent], ()) == ()


def test_a_space_says_that_it_is_one_when_it_is_made() -> None:
    assert is_space({"type": "m.space", "room_version": "12"})
    assert not any(map(is_space, (None, {}, {"type": "m.lobby"})))
