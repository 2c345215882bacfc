"""The table: people's text never becomes a formula, and is unchanged unless it needs an apostrophe."""

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.export.selection import Selection
from storage.export.verify import BOM, COLUMNS, TableCopy, canonical, harmless, table_rows
from storage.journal.canonical import canonical as canonical_of_records

FORMULAS = (
    '=HYPERLINK("https://evil.example";"x")',
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1+1",
    '"=1+1',
    "'=1",
    "\uff1d1+1",
    "harmless\n=1+1",
    "a;=1+1",
    'a;"=1+1"',
    "a\t=cmd|'/c calc'!A1",
)


def cells_as_any_program_takes_them(text: str) -> list[str]:
    """Split wherever some spreadsheet or locale might, ignoring quotes."""
    return [cell.lstrip(' "') for line in re.split(r"[\r\n]+", text) for cell in re.split("[;\t]", line)]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_never_begins_a_formula(text: str) -> None:
    assert harmless(text) != text
    assert not [cell for cell in cells_as_any_program_takes_them(harmless(text)) if cell[:1] in "=+-@\uff1d" and cell]


@given(st.text(alphabet=st.sampled_from("=+-@;\t\r\n \"'a1,|\uff1d"), max_size=12))
def test_no_mixture_does(text: str) -> None:
    for cell in cells_as_any_program_takes_them(harmless(text)):
        assert not cell or cell[0] not in "=+-@\uff1d"


@pytest.mark.parametrize(
    "text", ["hello", "1-2", "a=b", "anna@example.org", "5, -6", "你好", "", "https://example.org/?a=b"]
)
def test_a_harmless_cell_is_unchanged(text: str) -> None:
    assert harmless(text) == text


SOME_JSON = st.recursive(
    st.text(max_size=3) | st.integers(-9, 9) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(SOME_JSON)
@example({"\U0001f600": 1, "\uffff": 2})  # the order of UTF-16, not of code points
@example({"a": "\U0001f600", "\ue000": {"\U0001f600": 1, "\ufb33": 2}})
def test_a_record_has_one_canonical_form(value: Any) -> None:
    assert canonical(value) == canonical_of_records(value)


@given(st.lists(st.text(max_size=6), min_size=4, max_size=4), st.text(alphabet='",\r\n\x1f;a', max_size=6))
def test_rows_are_what_a_program_for_csv_reads_back(some: list[str], body: str) -> None:
    rule, who, mxid, other = some
    part = {"as": who, "mxid": mxid, "body": body, "more": other, "s": "AAAA"}
    written = table_rows({"i": 7, "t": "now", "k": "message", "rule": rule}, [part, None])
    shown, withheld = csv.reader(io.StringIO(written, newline=""))
    assert shown[5] == harmless(rule)
    assert shown[9:13] == ["shown", harmless(who), harmless(mxid), harmless(body)]
    assert withheld[:9] == [*shown[:8], "2"]


def test_a_table_is_compared_across_the_pieces_in_which_it_is_read() -> None:
    pieces = [b"one,t", b"w", b"o,three", b""]
    copy = TableCopy(iter(pieces))
    assert all(copy.follows(text) for text in ("one,", "two,", ""))
    assert not copy.is_over()
    assert copy.follows("three")
    assert copy.is_over()
    assert not TableCopy(iter(pieces)).follows("one,too")
    assert not TableCopy(iter(pieces)).follows("one,two,three,four")


def rows(out: Path) -> list[dict[str, str]]:
    with zipfile.ZipFile(out) as file:
        text = file.read("records.csv").decode("utf-8")
    assert text.startswith(BOM)
    assert text.count("\r\n") >= 2
    return list(csv.DictReader(io.StringIO(text.removeprefix(BOM), newline="")))


def test_has_a_row_for_each_part(whole: Path, story: Any, tools: Any) -> None:
    found = rows(whole)
    assert len(found) == sum(max(1, len(line["x"])) for line in tools.lines(whole))
    (formula,) = [row for row in found if row["record"] == str(story.at["formula"])]
    assert formula["text"] == '\'=HYPERLINK("https://evil.example";"x")'
    assert formula["mxid"] == "'@ben:example.org"
    (hello,) = [row for row in found if row["record"] == str(story.at["hello"])]
    assert (hello["text"], hello["kind"], hello["group"]) == ("hello 你好 \U0001f600", "message", "G-7F3K")
    (credit,) = [row for row in found if row["record"] == str(story.at["credit"])]
    assert (credit["case"], credit["rule"], credit["class"]) == ("1", "no-coins", "serious")
    assert [row["state"] for row in found if row["record"] == str(story.at["regret"])] == [
        f"erased by {story.at['erase']}"
    ]


def test_shows_nothing_that_was_left_out(story: Any, tools: Any) -> None:
    out = story.export(Selection(persons=frozenset({tools.ben})))
    found = rows(out)
    assert "anna" not in str(found)
    assert "withheld" in {row["state"] for row in found}


def test_every_cell_of_a_real_table_is_quoted_and_harmless(whole: Path) -> None:
    for row in rows(whole):
        for cell in row.values():
            assert cell[:1] not in "=+-@\t\r" or not cell
    assert all(re.fullmatch(r"[a-z]+", column) for column in COLUMNS)
