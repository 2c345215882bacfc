"""Rooms share a desk only if the same people run them; nobody gets in without a right in all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.rooms.desks import DeskView, Obstacle, Plan, Staff, may_show, obstacle, plan
from moderation.values.ids import GroupCode, RoomId, UserId

OLGA, MARK, MINA, EVE = (UserId(f"@{name}:x") for name in ("olga", "mark", "mina", "eve"))
A, B, C = (RoomId(f"!{name}:x") for name in "abc")


def staff(room: RoomId, *people: UserId, owner: UserId = OLGA, coming: tuple[UserId, ...] = ()) -> Staff:
    joined = frozenset({owner, *people})
    return Staff(room, frozenset({owner}), joined | set(coming), joined)


def desk(*users: Staff, former: tuple[Staff, ...] = (), there: tuple[UserId, ...] = (OLGA, MARK)) -> DeskView:
    return DeskView(RoomId("!desk:x"), GroupCode("G-DESK"), users, former, joined=frozenset(there))


def test_the_desk_of_one_room_has_its_people() -> None:
    made = desk(staff(A, MARK, MINA), there=(OLGA, EVE))
    assert plan(made) == Plan((A,), invite=(MARK, MINA), remove=(EVE,))
    assert may_show(made, A)  # as ever: whoever is too many is removed at once
    assert not may_show(made, B)


def test_rooms_with_the_same_people_keep_one_desk() -> None:
    shared = desk(staff(A, MARK), staff(B, MARK), staff(C, MARK))
    assert plan(shared) == Plan((A, B, C), (), ())
    assert all(may_show(shared, room) for room in (A, B, C))


def test_a_manager_of_one_room_only_is_not_let_in_and_that_room_parts() -> None:
    shared = desk(staff(A, MARK), staff(B, MARK, MINA), staff(C, MARK))
    assert plan(shared) == Plan((A, C), (), ())
    assert may_show(shared, B)  # meanwhile: all who are there have a right in it
    first = desk(staff(A, MARK, MINA), staff(B, MARK), staff(C, MARK))
    assert plan(first) == Plan((B, C), (), ())  # not even if it is the room that was there first


def test_who_loses_the_right_in_one_room_is_shown_nothing_more_of_it() -> None:
    shared = desk(staff(A, MARK), staff(B))
    assert plan(shared) == Plan((A,), (), ())
    assert (may_show(shared, A), may_show(shared, B)) == (True, False)


def test_who_loses_the_right_in_the_first_room_is_removed() -> None:
    shared = desk(staff(A), staff(B, MARK), staff(C, MARK))
    assert plan(shared) == Plan((A,), (), remove=(MARK,))
    assert not may_show(shared, A)


def test_an_invitation_that_was_not_accepted_goes_with_the_right_in_any_room() -> None:
    shared = replace(desk(staff(A, MARK), staff(B), there=(OLGA,)), invited=frozenset({MARK}))
    assert plan(shared).remove == (MARK,)


def test_nobody_comes_to_read_what_stands_there_of_a_room_that_has_parted() -> None:
    left = desk(staff(A, MARK, MINA), former=(staff(B, MARK),))
    assert plan(left) == Plan((), (), ())  # so the room gets a new desk; until then the others stay in this one
    same = desk(staff(A, MARK, MINA), former=(staff(B, MARK, MINA),))
    assert plan(same) == Plan((A,), invite=(MINA,), remove=())


def test_people_on_their_way_after_an_upgrade_part_nobody() -> None:
    upgraded = desk(staff(A, coming=(MARK,)), staff(B, MARK))
    assert plan(upgraded) == Plan((A, B), (), ())


@pytest.mark.parametrize(
    ("comes", "expected"),
    [
        (staff(B, MARK), None),
        (staff(A, MARK), "here"),
        (staff(B), "people"),
        (staff(B, MARK, MINA), "people"),
        (staff(B, MARK, coming=(MINA,)), "people"),
        (staff(B, OLGA, owner=MARK), "owners"),  # the same people, but somebody else owns it
        (Staff(B, frozenset(), frozenset({OLGA, MARK}), frozenset({OLGA, MARK})), "owners"),
    ],
)
def test_a_room_joins_a_desk_only_with_the_same_owners_and_people(comes: Staff, expected: Obstacle | None) -> None:
    assert obstacle(desk(staff(A, MARK)), comes) == expected


def test_a_room_does_not_join_a_desk_that_is_parting_or_with_a_past_that_not_all_may_read() -> None:
    assert obstacle(desk(staff(A, MARK), staff(C)), staff(B, MARK)) == "unsettled"
    assert obstacle(desk(), staff(B, MARK)) == "unsettled"
    left = desk(staff(A, MARK), former=(staff(C),))
    assert obstacle(left, staff(B, MARK)) is None
    gone = desk(staff(A, MARK), former=(staff(C),), there=(OLGA,))
    assert obstacle(gone, staff(B, MARK)) == "unsettled"


PEOPLE = st.frozensets(st.sampled_from((OLGA, MARK, MINA, EVE)))


@st.composite
def desks(draw: st.DrawFn) -> DeskView:
    rooms = []
    for name in draw(st.lists(st.sampled_from("abcde"), unique=True, min_size=1)):
        people = draw(PEOPLE)
        joined = frozenset(draw(st.sets(st.sampled_from(sorted(people))))) if people else people
        rooms.append(Staff(RoomId(f"!{name}:x"), people, people, joined))
    at = draw(st.integers(1, len(rooms)))
    joined, invited = draw(PEOPLE), draw(PEOPLE)
    return DeskView(RoomId("!d:x"), GroupCode("G-DESK"), tuple(rooms[:at]), tuple(rooms[at:]), joined, invited - joined)


@given(desks())
def test_nobody_is_let_into_a_room_of_which_they_may_not_read_all(found: DeskView) -> None:
    every = (*found.users, *found.former)
    to = plan(found)
    assert all(user in staff.joined for user in to.invite for staff in every)
    waiting = found.invited - set(to.remove)
    assert all(user in staff.people for user in waiting for staff in every)


@given(desks())
def test_once_a_plan_is_carried_out_the_rooms_that_keep_a_desk_may_show_their_cards(found: DeskView) -> None:
    to = plan(found)
    joined, invited = found.joined - set(to.remove), (found.invited | set(to.invite)) - set(to.remove)
    kept = tuple(staff for staff in found.users if staff.room in to.keep)
    parted = tuple(staff for staff in found.users if staff.room not in to.keep)
    after = replace(found, users=kept, former=(*found.former, *parted), joined=joined, invited=invited)
    assert all(may_show(after, staff.room) for staff in kept)
    assert plan(after) == Plan(to.keep, (), ()) or not kept
