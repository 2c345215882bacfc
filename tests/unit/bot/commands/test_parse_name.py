"""Names that stand for people: one person or none, never a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.parse_name import names_in, same_name
from moderation.values.ids import UserId

ANN, LEE, BEN, EVIL = (UserId(f"@{name}:example.org") for name in ("ann", "lee.1", "ben", "x"))
PEOPLE = {ANN: "Ann", LEE: "Ann Lee", BEN: "Ben 小明", EVIL: ""}


def found(said: str, people: dict[UserId, str] = PEOPLE) -> tuple[dict[UserId, int], set[UserId]]:
    names = names_in(said.split(), people)
    return dict(names.named), set(names.alike)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("ann 1h", {ANN: 1}),
        ("ANN: 1h", {ANN: 1}),
        ("@ann, 1h", {ANN: 1}),
        ("＠ann 1h", {ANN: 1}),
        ("Ａｎｎ 1h", {ANN: 1}),
        ("lee.1", {LEE: 1}),
        ("ben 小明 一小时", {BEN: 2}),
        ("“Ben 小明” 一小时", {BEN: 2}),
        ('"ann" Lee', {ANN: 1}),
        ('@"Ann Lee" 1h', {LEE: 2}),
        ("Ann Lee 1h", {ANN: 1, LEE: 2}),  # a whole name, and the beginning of another
        ('"Ann Lee', {}),
        ("x", {EVIL: 1}),
        ("nobody", {}),
        (":", {}),
        ('""', {}),
    ],
)
def test_a_name_is_found_by_its_words(said: str, named: dict[UserId, int]) -> None:
    assert found(said) == (named, set())


@pytest.mark.parametrize("worn", ["Аnn", "Ann\u200b", "ANN", "Ánn", "4nn", "@Ann:"])
def test_who_looks_like_the_person_meant_is_found_too(worn: str) -> None:
    people = {ANN: "Ann", EVIL: worn}
    named, alike = found("Ann spam", people)
    assert ({*named, *alike}, ANN in named) == ({ANN, EVIL}, True)
    assert same_name(worn, "Ann")


def test_a_name_that_only_looks_like_it_names_nobody() -> None:
    assert found("Ann", {EVIL: "Аnn"}) == ({}, {EVIL})


@given(st.lists(st.text(min_size=1).filter(lambda each: each.split() == [each]), min_size=1, max_size=10), st.text())
def test_any_words_name_people_who_are_there(words: list[str], worn: str) -> None:
    names = names_in(words, {ANN: worn})
    assert set(names.people) <= {ANN}
    assert all(0 < count <= len(words) for count in names.named.values())
