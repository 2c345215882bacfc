"""The one canonical spelling of a JSON value: RFC 8785, the JSON Canonicalization Scheme (JCS).

Rules kept here:
- `canonical` is exactly RFC 8785: by a fast path where the result is provably the same, else by the `rfc8785` package.
- `plain` makes any value from outside fit for the records, by a fixed rule, and never raises.
Left to others: what is hashed with which prefix (`line_format.py`).
"""

import json
import math
import re
from collections.abc import Mapping
from typing import cast

import orjson
import rfc8785

from moderation.values.events import Json
from moderation.values.ids import SAFE_INT

MAX_DEPTH = 64  # containers within containers; Matrix events stay far below
SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
FLAT = frozenset({str, int, bool, type(None)})
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotCanonical(ValueError):
    """The value has no RFC 8785 form: a number out of range, a lone surrogate, a foreign type."""


def canonical(value: Json) -> bytes:
    """Return the RFC 8785 form of `value`. Raises `NotCanonical` if it has none.

    orjson writes strings, literals and integers as RFC 8785 does and orders keys by code point.
    RFC 8785 orders by UTF-16 unit, which differs beyond ASCII (from U+E000 on), and it writes floats as
    ECMAScript does. So a float, or a key beyond ASCII, takes the slow path.
    """
    try:
        return orjson.dumps(value, option=SORTED) if _is_easy(value) else rfc8785.dumps(cast("dict[str, str]", value))
    except (TypeError, ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from error


def is_flat(data: Mapping[str, object]) -> bool:
    """Tell whether a mapping holds only strings, integers, booleans and null, under ASCII keys.

    Raises `TypeError` if a key is not a string.
    """
    return FLAT.issuperset(map(type, data.values())) and "".join(data).isascii()


def plain(value: object, depth: int = 0) -> Json:
    """Make `value` fit for the records.

    - an integer beyond 2^53 - 1 either way becomes its decimal text;
    - a float becomes the integer it equals, else its shortest decimal text ("1.5", "nan", "inf"): so no
      record ever holds a float, and a checker needs no ECMAScript number formatting;
    - a lone surrogate, which UTF-8 cannot hold, becomes U+FFFD, in keys as well (of keys that become
      equal, the last one stays);
    - a value nested deeper than 64 levels becomes its JSON text, and a value that is not JSON its `str`.
    """
    match value:
        case None | bool():
            return value
        case str():
            return _SURROGATE.sub("\ufffd", value)
        case int():
            return int(value) if -SAFE_INT <= value <= SAFE_INT else _digits(value)
        case float():
            return _without_fraction(value)
        case dict() | list() | tuple() if depth >= MAX_DEPTH:
            return _as_text(value)
        case Mapping():
            return {_SURROGATE.sub("\ufffd", str(k)): plain(v, depth + 1) for k, v in value.items()}
        case list() | tuple():
            return [plain(item, depth + 1) for item in value]
        case _:
            return _SURROGATE.sub("\ufffd", str(value))


def _is_easy(value: object, depth: int = 0) -> bool:
    kind = type(value)
    if kind is dict:
        data = cast("dict[str, object]", value)
        if is_flat(data):
            return True
        return "".join(data).isascii() and _all_easy(data.values(), depth)
    if kind is list:
        return _all_easy(cast("list[object]", value), depth)
    return kind in FLAT


def _all_easy(values: object, depth: int) -> bool:
    # orjson gives up at 254 levels and raises; this function must not run out of stack before that.
    return depth < 300 and all(_is_easy(value, depth + 1) for value in cast("list[object]", values))


def _digits(number: int) -> str:
    """Write a number in decimal, or in hexadecimal where Python refuses to write that many decimal digits."""
    try:
        return str(int(number))
    except ValueError:
        return hex(number)


def _without_fraction(number: float) -> int | str:
    if math.isfinite(number) and number.is_integer() and abs(number) <= SAFE_INT:
        return int(number)
    return repr(float(number))


def _as_text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=True, default=str)
    except (RecursionError, ValueError, TypeError):
        return "[nested too deeply]"
