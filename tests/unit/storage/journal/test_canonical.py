"""Our RFC 8785 form equals that of the `rfc8785` package, and no input from outside can break it."""

import json
import math
import re
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from storage.journal.canonical import MAX_DEPTH, NotCanonical, canonical, plain

SAFE = 2**53 - 1
# Keys that sort differently by code point and by UTF-16 unit, and keys that do not.
keys = st.one_of(
    st.text(max_size=4),
    st.text(alphabet=["a", "\x00", "\x1f", "\x7f", "\ue000", "\uffff", "\U00010000", "\U0001f600"], max_size=3),
)
texts = st.text(max_size=8)
scalars = st.one_of(
    st.none(), st.booleans(), texts, st.integers(-SAFE, SAFE), st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(keys, v, max_size=4), max_leaves=12)

wild_texts = st.text(alphabet=st.characters(), max_size=8) | st.text(alphabet=["\ud800", "\udfff", "a"], max_size=4)
wild = st.recursive(
    st.one_of(st.none(), st.booleans(), wild_texts, st.integers(), st.floats(), st.binary(max_size=3)),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(wild_texts, v, max_size=4) | st.tuples(v, v),
    max_leaves=12,
)


@given(values)
def test_agrees_with_the_rfc8785_package(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [2**53, -(2**53), 2**64, math.nan, math.inf, "\ud800", {"\udfff": 1}, {"a": {"b": 2**60}}, b"bytes", {1: 2}],
)
def test_refuses_what_has_no_form(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_refuses_to_run_out_of_stack() -> None:
    value: Any = 1.5
    for _ in range(100_000):
        value = [value]
    with pytest.raises(NotCanonical):
        canonical(value)


@given(wild)
def test_plain_makes_anything_fit(value: Any) -> None:
    fit = plain(value)
    assert json.loads(canonical(fit)) == fit
    assert plain(fit) == fit


@given(values.filter(lambda value: not re.search(r"\d[.e]", json.dumps(value))))
def test_plain_leaves_alone_what_fits(value: Any) -> None:
    assert plain(value) == value


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        (SAFE, SAFE),
        (2**53, "9007199254740992"),
        (-(2**70), "-1180591620717411303424"),
        (1.0, 1),
        (-0.0, 0),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("a\ud800b", "a\ufffdb"),
        ({"\ud800": [2**60]}, {"\ufffd": ["1152921504606846976"]}),
        (True, True),
    ],
)
def test_the_rule_for_what_does_not_fit(given_value: Any, kept: Any) -> None:
    found = plain(given_value)
    assert (found, type(found)) == (kept, type(kept))


def test_too_deep_nesting_becomes_text() -> None:
    value: Any = "core"
    for _ in range(MAX_DEPTH + 2):
        value = [value]
    inner: Any = plain(value)
    for _ in range(MAX_DEPTH):
        inner = inner[0]
    assert inner == '[["core"]]'


def test_a_number_python_will_not_print_is_kept_as_hexadecimal() -> None:
    assert plain(10**5000) == hex(10**5000)
