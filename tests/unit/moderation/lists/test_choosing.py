"""The rights to choose a list for a room, where it counts, and how much may be chosen."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from moderation.lists.choosing import (
    MOST_ENTRIES,
    MOST_GLOBS,
    MOST_LISTS,
    ListSize,
    most_trusted,
    reach_as_shown,
    require_place,
    require_size,
    require_trust,
    widest_reach,
)
from moderation.lists.matching import TRUSTS
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.unit.moderation.builders import ANNA, MARK, OLGA, OTHER, ROOM, room

OPERA = UserId("@opera:example.org")
POLICY = Policy(operators=(OPERA,))
HERE = replace(room(), code=GroupCode("G-7F3K"), community="club")
THERE = replace(HERE, room=OTHER, code=GroupCode("G-2222"))
ELSEWHERE = replace(HERE, room=RoomId("!far:x"), code=GroupCode("G-3222"), community="G-3222")
LIST = RoomId("!bans:x")


def size(name: str, *, at: RoomId = ROOM, entries: int = 1, globs: int = 0, in_chat: bool = True) -> ListSize:
    return ListSize(name, LIST, in_chat, at if in_chat else None, entries, globs)


@pytest.mark.parametrize(("who", "most"), [(OPERA, "apply"), (OLGA, "apply"), (MARK, "propose"), (ANNA, "none")])
def test_each_may_trust_a_list_as_far_as_the_operator_says(who: UserId, most: str) -> None:
    assert most_trusted(who, HERE, POLICY) == most
    for trust in TRUSTS:
        fits = most != "none" and TRUSTS.index(trust) <= TRUSTS.index(most)
        try:
            require_trust(trust, who, HERE, POLICY)
        except Refused as refused:
            assert not fits, refused
        else:
            assert fits


def test_a_manager_whose_rights_are_suspended_chooses_nothing() -> None:
    assert most_trusted(MARK, replace(HERE, suspended=frozenset({MARK})), POLICY) == "none"


def test_a_list_counts_in_the_community_if_they_may_choose_it_in_all_of_its_rooms() -> None:
    assert widest_reach("look", MARK, HERE, [HERE, THERE, ELSEWHERE], POLICY) == "club"
    closed = replace(THERE, suspended=frozenset({MARK}))
    assert widest_reach("look", MARK, HERE, [HERE, closed], POLICY) == "G-7F3K"
    assert widest_reach("apply", OPERA, HERE, [HERE, closed], POLICY) == ""
    alone = replace(HERE, community="")
    assert widest_reach("look", MARK, alone, [alone, replace(THERE, community="")], POLICY) == "G-7F3K"


@pytest.mark.parametrize(
    ("shown", "may", "reach"),
    [
        ("", "", ""),
        ("", "club", "club"),
        ("club", "", "club"),
        ("club", "G-7F3K", "G-7F3K"),
        ("G-7F3K", "club", "G-7F3K"),
        ("", "G-7F3K", "G-7F3K"),
        ("former-name", "club", "G-7F3K"),
    ],
)
def test_no_list_counts_further_than_it_was_shown(shown: str, may: str, reach: str) -> None:
    assert reach_as_shown(shown, may, HERE) == reach


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ([size("cme", at=OTHER)], "taken"),
        ([size("cme", in_chat=False)], "taken"),
        ([replace(size("cme"), list_room=RoomId("!other:x"))], "taken"),
        ([size(f"list{number}") for number in range(MOST_LISTS)], "many"),
        ([size("cme")], ""),
        ([size(f"list{number}", at=OTHER) for number in range(MOST_LISTS)], ""),
    ],
)
def test_a_name_belongs_to_one_list_of_one_room(known: Sequence[ListSize], why: str) -> None:
    assert _refused_place(known) == why


def _refused_place(known: Sequence[ListSize]) -> str:
    try:
        require_place("cme", LIST, HERE, known, POLICY)
    except Refused as refused:
        return refused.key.removeprefix("error.list.")
    return ""


@pytest.mark.parametrize(
    ("wanted", "known", "why"),
    [
        (size("cme", entries=MOST_ENTRIES), [], ""),
        (size("cme", entries=MOST_ENTRIES + 1), [], "long"),
        (size("cme", entries=MOST_ENTRIES), [size("more")], "long"),
        (size("cme", entries=MOST_ENTRIES), [size("cme", entries=MOST_ENTRIES)], ""),
        (size("cme", entries=MOST_ENTRIES), [size("theirs", at=OTHER)], ""),
        (size("cme", globs=MOST_GLOBS + 1), [], "globs"),
        (size("cme", globs=MOST_GLOBS), [size("more", globs=1)], "globs"),
        (size("cme"), [size(f"l{n}", at=RoomId(f"!{n}:x"), entries=MOST_ENTRIES) for n in range(4)], "full"),
        (size("cme", globs=1), [size(f"l{n}", at=RoomId(f"!{n}:x"), globs=MOST_GLOBS) for n in range(4)], "full"),
        (size("cme"), [size("configured", entries=200_000, in_chat=False)], ""),
    ],
)
def test_lists_that_people_choose_are_bounded(wanted: ListSize, known: Sequence[ListSize], why: str) -> None:
    found = ""
    try:
        require_size(wanted, known)
    except Refused as refused:
        found = refused.key.removeprefix("error.list.")
    assert found == why
