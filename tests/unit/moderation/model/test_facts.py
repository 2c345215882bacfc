"""The list of facts, and the declarations of their fields."""

import pkgutil
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from moderation.model import facts
from moderation.model.facts import FACTS, LASTING, OF_ROOMS, Fact, SanctionKind, owner_of


def test_every_fact_that_a_file_defines_is_handed_on_once() -> None:
    files = [import_module(f"{facts.__name__}.{each.name}") for each in pkgutil.iter_modules(facts.__path__)]
    known = {value for file in files for value in vars(file).values() if isinstance(value, type)}
    assert {cls for cls in known if issubclass(cls, Fact)} - {Fact} == set(FACTS)
    assert len(FACTS) == len(set(FACTS))


def test_facts_of_one_record_kind_agree_on_acting() -> None:
    """The facts that show, at the end of the journal, which requests were in flight."""
    of_acting = {cls.KIND for cls in FACTS if cls.OF_ACTING}
    assert of_acting == {"outcome", "notice", "media", "labels", "disclosure", "anchor"}
    assert of_acting & {cls.KIND for cls in FACTS if not cls.OF_ACTING} == set()


@pytest.mark.parametrize("cls", FACTS)
def test_a_fact_has_a_kind_of_record(cls: type[Fact]) -> None:
    assert cls.KIND
    assert cls.__doc__


@pytest.mark.parametrize("cls", FACTS)
def test_a_private_field_belongs_to_a_person_of_the_same_fact(cls: type[Fact]) -> None:
    owners = owner_of(cls)
    for owner in owners.values():
        assert owner in ("public", "person", "nobody") or owners[owner or ""] == "person"


@pytest.mark.parametrize("cls", FACTS)
def test_erasable_fields_may_be_missing(cls: type[Fact]) -> None:
    for item in fields(cls):
        if "of" in item.metadata:
            assert item.default == ""


@pytest.mark.parametrize("cls", FACTS)
def test_a_public_field_is_a_number_or_a_word(cls: type[Fact]) -> None:
    hints = get_type_hints(cls)
    for name, owner in owner_of(cls).items():
        if owner == "public" and name != "room":
            words = get_args(hints[name]) if get_origin(hints[name]) is Literal else ()
            is_union = not words and get_args(hints[name])  # a Literal with one word more
            assert hints[name] in (int, str) or words or is_union or hints[name].__name__ == "GroupCode"
            assert all(isinstance(word, str) and word.isascii() for word in words)


def test_two_facts_of_one_kind_can_be_told_apart() -> None:
    marks: dict[tuple[str, frozenset[tuple[str, object]]], type[Fact]] = {}
    for cls in FACTS:
        hints = get_type_hints(cls)
        fixed = frozenset(
            (item.name, item.default)
            for item in fields(cls)
            if item.default is not MISSING
            and get_origin(hints[item.name]) is Literal
            and len(get_args(hints[item.name])) == 1
        )
        assert (cls.KIND, fixed) not in marks
        marks[cls.KIND, fixed] = cls


def test_every_lasting_measure_is_a_kind_of_sanction() -> None:
    assert set(get_args(SanctionKind)) >= LASTING == {"mute", "demote", "ban"} | OF_ROOMS
