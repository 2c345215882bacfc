"""The table of kinds is complete, and the page made from it is up to date."""

import re

import pytest

from storage.journal.record_kinds.check import RESERVED_DATA
from storage.journal.record_kinds.page import PAGE, render
from storage.journal.record_kinds.table import KINDS

NAMED = (
    "genesis start stop notice join leave role verify message edit redact media state report finding case decision "
    "sanction outcome credit appeal rules access export erase hold purge coverage anchor request disclosure"
)
RESERVED_FIELDS = frozenset("itkgpcx")  # the skeleton's own member names, and that of the parts


def test_every_kind_of_the_format_is_in_the_table() -> None:
    assert set(NAMED.split()) <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_names_are_short_words_that_nothing_else_uses(name: str) -> None:
    kind = KINDS[name]
    assert kind.doc.endswith(".")
    for word in (name, *kind.fields):
        assert re.fullmatch(r"[a-z][a-z_]{1,20}|n", word), word
    assert not RESERVED_FIELDS & set(kind.fields)
    assert not RESERVED_DATA & set(kind.parts)
    assert all(entry.doc for entry in kind.fields.values())


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text("utf-8")
    assert page == render(page), "run: python -m storage.journal.record_kinds"


def test_a_page_without_marks_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="marks"):
        render("# Another page\n")
