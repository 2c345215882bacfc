"""JSON of which all servers read the same.

Rules this module keeps:
- No name occurs twice in an object: which of the two counts is up to each parser.
- Integers only, within plus or minus 2^53 - 1; no fractions, no exponents, no NaN, no Infinity.
- UTF-8 only, without half surrogate pairs; no longer than allowed, and no deeper than what has a canonical form. How
  deep `json` itself reads depends on the version of Python.
- Anything else raises `MalformedPdu`, and nothing else.

Room versions 1 to 5 allow more (fractions, larger integers). An event that uses it has no canonical form that is
certain to be that of others, so it is refused in all versions.

Specification: appendices v1.19, "Canonical JSON".
"""

import json
from typing import Any, NoReturn

from bot.crypto.encoding import MalformedKey, Object, canonical
from moderation.values.ids import SAFE_INT

from .errors import MalformedPdu

_LONGEST_INT = 17  # characters of an integer within 2^53, and its sign
_LEVELS = 254  # of objects and lists in each other


def parse_strictly(data: bytes, most_bytes: int) -> dict[str, Any]:
    """Parse the JSON object in `data`. Raises `MalformedPdu`."""
    if len(data) > most_bytes:
        raise MalformedPdu(f"more than {most_bytes} bytes")
    try:
        value = json.loads(data.decode(), **_HOOKS)
    except MalformedPdu:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedPdu(f"not JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise MalformedPdu("no JSON object")
    if _is_deeper(value, _LEVELS):
        raise MalformedPdu(f"more than {_LEVELS} levels")
    return value


def _is_deeper(value: object, levels: int) -> bool:
    """Tell whether a JSON value has more levels of objects and lists than these."""
    level = [value]
    for _ in range(levels + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        if not inner:
            return False
        level = [each for values in inner for each in values]
    return True


def canonical_or_malformed(value: Object) -> bytes:
    """Return canonical JSON. Raises `MalformedPdu`, also for more than 254 levels and for half surrogate pairs."""
    try:
        return canonical(value)
    except MalformedKey as error:
        raise MalformedPdu(str(error)) from None


def refuse_fractions(value: object) -> None:
    """Raise `MalformedPdu` if there is a fraction anywhere in a JSON value."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, float):
            raise MalformedPdu("a fraction")
        if isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedPdu("a name occurs twice in an object")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INT or abs(number := int(digits)) > SAFE_INT:
        raise MalformedPdu("an integer beyond 2^53 - 1")
    return number


def _refused(token: str) -> NoReturn:
    raise MalformedPdu(f"no number of canonical JSON: {token[:20]}")


_HOOKS: dict[str, Any] = {
    "object_pairs_hook": _object,
    "parse_int": _integer,
    "parse_float": _refused,
    "parse_constant": _refused,
}
