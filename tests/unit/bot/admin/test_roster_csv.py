"""The roster file: read as spreadsheets write it; faults are reported line by line; no formula is written."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.admin.roster_csv import Sheet, WrongLine, harmless, parse, write
from moderation.values.errors import Refused
from storage.identity.roster import Listed

HEAD = "identifier,name,email\n"
END_OF_2027 = 1_830_297_599_999


def refused(data: bytes) -> tuple[str, dict[str, object]]:
    with pytest.raises(Refused) as error:
        parse(data)
    return error.value.key, dict(error.value.fields)


@pytest.mark.parametrize(
    "data",
    [
        b"identifier,name,email\nM-1,Anna,a@example.org\n",
        b"\xef\xbb\xbfidentifier;name;email\r\nM-1;Anna;a@example.org\r\n",
        b'"Identifier","NAME", email \n"M-1","Anna",  a@example.org \n\n,,\n',
        b"email,identifier,name\na@example.org,M-1,Anna",
    ],
)
def test_the_same_list_in_several_spellings(data: bytes) -> None:
    assert parse(data) == Sheet((Listed("M-1", "Anna", "a@example.org"),), ())


def test_level_and_end_may_be_named() -> None:
    data = b"identifier,name,email,level,expires\nM-1,,,1,2027-12-31\nM-2,,,,\n"
    assert parse(data).listed == (Listed("M-1", "", "", 1, END_OF_2027), Listed("M-2"))


def test_every_wrong_line_is_reported_with_number_and_reason() -> None:
    data = (
        "identifier,name,email,level,expires\n"
        'M-1,"two\nlines",,,\n'
        "M-2,ok,,,\n"
        ",nobody,,,\n"
        "M-4,x,not an address,,\n"
        "M-5,x,,3,\n"
        "M-6,x,,,31.12.2027\n"
        "M-7,x\n"
        f"M-8,{'x' * 255},,,\n"
    )
    assert parse(data.encode()) == Sheet(
        (Listed("M-2", "ok"),),
        (
            WrongLine(2, "cell", 0, "M-1"),
            WrongLine(5, "no_identifier"),
            WrongLine(6, "email", 0, "M-4"),
            WrongLine(7, "level", 0, "M-5"),
            WrongLine(8, "expires", 0, "M-6"),
            WrongLine(9, "cells", 0, "M-7"),
            WrongLine(10, "cell", 0, "M-8"),
        ),
    )


def test_duplicate_lines_do_not_count_and_name_each_other() -> None:
    data = f"{HEAD}M-1,Anna,\nM-2,Ben,\n m-1 ,Cleo,\nＭ-1,Dora,\n"
    assert parse(data.encode()) == Sheet(
        (Listed("M-2", "Ben"),),
        (WrongLine(2, "twice", 4, "M-1"), WrongLine(4, "twice", 2, "m-1"), WrongLine(5, "twice", 2, "Ｍ-1")),
    )


@pytest.mark.parametrize(
    ("data", "key", "fields"),
    [
        (b"", "cli.roster.header", {"columns": "identifier,name,email"}),
        (b"M-1,Anna,a@example.org\n", "cli.roster.column", {"column": "m-1", "near": "identifier, name, email"}),
        (b"identifier,name,mail\n", "cli.roster.column", {"column": "mail", "near": "email"}),
        (b"identifier,name,email,name\n", "cli.roster.header", {"columns": "identifier,name,email"}),
        (b"identifier,name,email\nM-1,M\xfcller,\n", "cli.roster.not_utf8", {"number": 2}),
        (b'identifier,name,email\nM-1,"Anna,\n', "cli.roster.broken", {"number": 2, "why": "unexpected end of data"}),
    ],
)
def test_a_file_that_is_not_a_member_list_is_refused(data: bytes, key: str, fields: dict[str, object]) -> None:
    assert refused(data) == (key, fields)


@pytest.mark.parametrize("cell", ["=1+1", "+49 30", "-1", "@cmd", "\tx", "\rx"])
def test_a_cell_that_begins_like_a_formula_is_kept_and_quoted_in_output(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    ((_, row),) = [list(csv.reader(io.StringIO(write(("name",), [(cell,)]), newline="")))]
    assert row == [f"'{cell}"]
    if cell.isprintable():
        assert parse(f"{HEAD}M-1,{cell},\n".encode()).listed == (Listed("M-1", cell),)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_list_or_a_refusal(data: bytes) -> None:
    with suppress(Refused):
        parse(HEAD.encode() + data)
