"""JSON that parsers read in different ways is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.federation.errors import MalformedPdu
from bot.federation.strict_json import canonical_or_malformed, parse_strictly

MOST = 65_536


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"\\u0062":2}}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0.0}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":' + b"9" * 60_000 + b"}",
        b'{"a":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}{"b":2}',
        b'{"a":"\x00"}',
        b'{"a":' + b"[" * 60_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"a":' * 255 + b"1" + b"}" * 255,
        b'{"a":' + b"[" * 254 + b"]" * 254 + b"}",
        b'{"a":"' + b"x" * MOST + b'"}',
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_not_read_alike_everywhere_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedPdu):
        parse_strictly(data, MOST)


@pytest.mark.parametrize("data", [b'{"a":' * 254 + b"1" + b"}" * 254, b'{"a":' + b"[" * 253 + b"]" * 253 + b"}"])
def test_as_deep_as_has_a_canonical_form_is_read(data: bytes) -> None:
    assert canonical_or_malformed(parse_strictly(data, MOST)) == data


def test_half_a_surrogate_pair_has_no_canonical_form() -> None:
    with pytest.raises(MalformedPdu):
        canonical_or_malformed(parse_strictly(b'{"a":"\\ud800"}', MOST))


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=st.dictionaries(st.text(), _values, max_size=4))
def test_all_else_is_read_as_it_was_meant(value: dict[str, Any]) -> None:
    assert parse_strictly(json.dumps(value).encode(), 10**6) == value
    assert parse_strictly(canonical_or_malformed(value), 10**6) == value
