"""The forms of ids, and our group codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.ids import (
    MAX_ID_BYTES,
    group_code,
    is_event_id,
    is_group_code,
    is_room_id,
    is_user_id,
    server_of,
)


@pytest.mark.parametrize(
    "text",
    ["@anna:example.org", "@a:b:8448", "@a:[::1]", "@:example.org", "@Ünal Ö!:x.org".replace(" ", "_"), "@a/b:x.org"],
)
def test_user_ids_and_historical_ones(text: str) -> None:
    assert is_user_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "@", "@a", "@a:", "anna:x.org", "@a b:x.org", "@a:x.org\n", "@a:x.org/y", "@a\x00:x.org", "@a:x\\y", 7, None],
)
def test_invalid_user_ids_are_refused(text: object) -> None:
    assert not is_user_id(text)


@pytest.mark.parametrize("text", ["!abc:example.org", "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"])
def test_room_ids_with_a_server_and_without(text: str) -> None:
    assert is_room_id(text)
    assert not is_event_id(text)


def test_event_ids() -> None:
    assert is_event_id("$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg")
    assert not any(map(is_event_id, ["$", "abc", "$a b", "$a\n", "$a\x00:x.org", None]))


def test_an_id_has_at_most_255_bytes() -> None:
    assert is_user_id("@" + "a" * (MAX_ID_BYTES - 3) + ":b")
    assert not is_user_id("@" + "a" * (MAX_ID_BYTES - 2) + ":b")
    assert not is_user_id("@" + "ä" * 127 + ":b")


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=20), st.sampled_from("@!$"))
def test_no_text_raises_and_a_lone_surrogate_is_no_id(text: str, sigil: str) -> None:
    for form in (is_user_id, is_room_id, is_event_id):
        assert form(text) in (True, False)
        assert not form(f"{sigil}\ud800{text}:x.org")


@given(st.integers(0, 2**40))
def test_a_group_code_is_one_and_is_made_of_its_number(seed: int) -> None:
    code = group_code(seed)
    assert is_group_code(code)
    assert code == group_code(seed % 32**4)


def test_all_numbers_below_a_million_and_more_give_different_codes() -> None:
    assert len({group_code(seed) for seed in range(0, 32**4, 97)}) == len(range(0, 32**4, 97))


@pytest.mark.parametrize("text", ["G-7F3K ", "g-7f3k", "G-7F3", "G-7F3KK", "G-0F3K", "G-IF3K", "", None, 7])
def test_invalid_group_codes_are_refused(text: object) -> None:
    assert not is_group_code(text)


def test_the_server_is_what_stands_after_the_first_colon() -> None:
    assert [server_of(user) for user in ("@a:b.org", "@a:b:80", "@a")] == ["b.org", "b:80", ""]
