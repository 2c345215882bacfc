"""The text forms of bytes and signed JSON in Matrix.

Rules this module keeps:
- We write unpadded base64 and canonical JSON.
- What others wrote may be padded, or in the URL-safe alphabet.
- Anything that cannot be read raises `MalformedKey`, and nothing else.

Specification: appendices v1.19, "Unpadded Base64", "Canonical JSON".
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import orjson

Object = Mapping[str, Any]


class MalformedKey(ValueError):
    """Raised if something from outside does not conform to the specification."""


def b64(data: bytes) -> str:
    """Encode bytes as unpadded base64."""
    return base64.b64encode(data).rstrip(b"=").decode()


def unb64(text: object, length: int | None = None) -> bytes:
    """Decode base64, padded or not, in either alphabet. Raises `MalformedKey`, also if `length` does not match."""
    if not isinstance(text, str):
        raise MalformedKey("not base64: no text")
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedKey(f"not base64: {error}") from None
    if length is not None and len(data) != length:
        raise MalformedKey(f"{len(data)} bytes, not {length}")
    return data


def canonical(value: Object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8. Raises `MalformedKey` if `value` has no such form."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedKey(f"no canonical JSON: {error}") from None


def parse(data: bytes | str) -> dict[str, Any]:
    """Parse the JSON object in `data`. Raises `MalformedKey`."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedKey(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise MalformedKey("no JSON object")
    return value


def stored(value: object) -> str:
    """Write any JSON from outside as text for the store. Raises `MalformedKey` if it is nested too deeply."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        raise MalformedKey("nested too deeply") from None


def restored(text: str) -> Any:
    """Read what `stored` wrote."""
    return json.loads(text)


def text_of(value: Object, name: str) -> str:
    """Return the non-empty text under `name`. Raises `MalformedKey` if it is missing."""
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise MalformedKey(f"{name} is missing or no text")
    return found


def object_of(value: object) -> dict[str, Any]:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
