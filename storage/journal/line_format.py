"""Encodes a record as one line of JSON, and decodes it.

    {"i":740,"t":"2026-11-24T09:12:20.740Z","k":"message","g":"G-7F3K","p":[...],"c":[...],"x":[...]}

Rules kept here:
- Everything but `x` is the skeleton; its RFC 8785 form is the leaf of the tree.
- `x` holds the parts; `c[j]` is base64(SHA-256("privpart/v1" || 0x00 || RFC 8785 form of x[j])). So a part can be
  erased while its commitment stays.
- A line has only one spelling: compact, members in the order i t k g p c fields x, within a part p first and s last,
  escapes as orjson writes them.
- `g` is left out if there is no room; the others are always there.
Left to others: which words a skeleton may hold (`record_kinds/`), pseudonyms (`record_keys.py`).
"""

import datetime as dt
import re
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, cast

import orjson

from moderation.values.errors import Broken
from moderation.values.events import Json
from moderation.values.ids import RecordIndex

from .canonical import FLAT, SORTED, NotCanonical, canonical, is_flat, plain
from .merkle import leaf_hash
from .record import Draft, Record

MAX_LINE = 4 * 1024 * 1024  # a Matrix event has at most 64 KiB; this is far beyond what a record of one can need
_PART_PREFIX = b"privpart/v1\x00"
_SKELETON_TYPES = frozenset({int, str, list})
_CLOCK = re.compile(r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NEWLINE = orjson.OPT_APPEND_NEWLINE


class BadLine(ValueError):
    """Raised for a line that this program did not write. `code`: unreadable, spelling or form."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Written(NamedTuple):
    """A line ready for the disk, with its newline, and its RFC 6962 leaf hash."""

    line: bytes
    leaf: bytes


def encode(index: int, draft: Draft, names: Sequence[str], salts: Sequence[str]) -> Written:
    """Return the line of a checked draft. Raises `Broken` if it is longer than `MAX_LINE`.

    Each part takes one of `names`, its pseudonym ("" for nobody), and one of `salts`.
    """
    parts: list[Json] = []
    commitments: list[Json] = []
    for part, name, salt in zip(draft.parts, names, salts, strict=True):
        data, form = _part(part.data, name, salt)
        parts.append(data)
        commitments.append(_commit(form))
    record: dict[str, Json] = {"i": index, "t": time_text(draft.at_ms), "k": draft.kind}
    if draft.group is not None:
        record["g"] = draft.group
    record["p"] = list(dict.fromkeys(filter(None, names)))
    record["c"] = commitments
    record.update(draft.fields)
    leaf = orjson.dumps(record, option=SORTED)
    record["x"] = parts
    line = orjson.dumps(record, option=_NEWLINE)
    if len(line) > MAX_LINE:
        raise Broken(f"record of kind {draft.kind}: {len(line)} bytes, more than a line may have")
    return Written(line, leaf_hash(leaf))


class DecodedLine(NamedTuple):
    """A parsed line: the skeleton, the parts as written, the RFC 6962 leaf hash."""

    skeleton: dict[str, Json]
    parts: list[Json]
    leaf: bytes


def open_line(raw: bytes) -> DecodedLine:
    """Parse a line (without its newline). Raises `BadLine`, and nothing else, for any other bytes."""
    try:
        whole = orjson.loads(raw)
        if type(whole) is not dict or orjson.dumps(whole) != raw:  # duplicate keys, spaces, other escapes or numbers
            raise BadLine("spelling")
        parts = whole.pop("x", None)
        if not _is_skeleton(whole) or type(parts) is not list or len(parts) != len(whole["c"]):
            raise BadLine("form")
        leaf = sha256(b"\x00" + orjson.dumps(whole, option=SORTED)).digest()  # as `leaf_hash`
        return DecodedLine(whole, parts, leaf)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError) as error:
        raise BadLine("unreadable") from error


def commitment(part: Json) -> str:
    """Return the entry of `c` for this part. Raises `NotCanonical` for a part that has no RFC 8785 form."""
    return _commit(_form(part))


def is_committed(part: Json, stated: str) -> bool:
    """Tell whether `stated`, an entry of `c`, is the commitment of this part."""
    try:  # `commitment` inlined, since verifying does this for every part of a log
        return b2a_base64(sha256(_PART_PREFIX + _form(part)).digest(), newline=False) == stated.encode()
    except NotCanonical:
        return False


def erased_by(part: Json) -> int | None:
    """Return the index of the record that erased this part; None if the part is shown."""
    if type(part) is dict and len(part) == 2 and type(part.get("erased")) is str:
        by = part.get("by")
        return by if type(by) is int else None
    return None


def decode(raw: bytes) -> Record:
    """Decode a line to a `Record`. Raises `BadLine`."""
    opened = open_line(raw)
    skeleton = opened.skeleton
    reserved = ("i", "t", "k", "g", "p", "c")
    try:
        return Record(
            index=RecordIndex(cast(int, skeleton["i"])),
            kind=cast(str, skeleton["k"]),
            at_ms=time_ms(cast(str, skeleton["t"])),
            group=cast("str | None", skeleton.get("g")),
            fields={k: cast("int | str", v) for k, v in skeleton.items() if k not in reserved},
            parts=tuple(cast("Mapping[str, Json]", part) for part in opened.parts),
        )
    except ValueError as error:
        raise BadLine("form") from error


def time_text(ms: int) -> str:
    """Format milliseconds since 1970 as UTC in ISO 8601, e.g. ``2026-11-24T09:12:20.740Z``."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second_text(seconds)}.{rest:03d}Z"


def time_ms(text: str) -> int:
    """Parse what `time_text` wrote, to milliseconds. Raises `ValueError` for any other spelling."""
    thousandths = text[20:23]
    if len(text) != 24 or text[19] + text[23] != ".Z" or not (thousandths.isascii() and thousandths.isdigit()):
        raise ValueError(f"{text!r} is not a time of ours")
    return _second(text[:19]) * 1000 + int(thousandths)


def is_time(text: str) -> bool:
    """Tell whether `time_text` can have written this."""
    return is_clock(text) and is_date(text[:10])


def is_clock(text: str) -> bool:
    """Tell whether the part of a time after the date is as `time_text` writes it."""
    return _CLOCK.fullmatch(text, 10) is not None


def day_of(ms: int) -> str:
    """Return the UTC day of a time in milliseconds, e.g. ``2026-11-24``."""
    return _second_text(ms // 1000)[:10]


@lru_cache(maxsize=4096)
def is_date(text: str) -> bool:
    """Tell whether this is a possible day for a record, e.g. ``2026-11-24``: no record is from before 1970."""
    if _DATE.fullmatch(text) is None or text < "1970":
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    with suppress(ValueError):
        seconds = int(dt.datetime.fromisoformat(f"{text}+00:00").timestamp())
        if _second_text(seconds) == text:  # else another spelling of ISO 8601
            return seconds
    raise ValueError(f"{text!r} is not a time of ours")


@lru_cache(maxsize=4096)
def _second_text(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _part(data: Mapping[str, Json], name: str, salt: str) -> tuple[Json, bytes]:
    """Return the part as it is written to the line, and its RFC 8785 form."""
    part: dict[str, Json] = {"p": name, **data, "s": salt} if name else {**data, "s": salt}
    if is_flat(part):
        try:
            return part, orjson.dumps(part, option=SORTED)
        except orjson.JSONEncodeError:
            pass  # a number out of range or half a surrogate pair: handled below
    clean = plain(part)
    return clean, canonical(clean)


def _form(part: Json) -> bytes:
    """Return the RFC 8785 form as `canonical` does, by a shorter way for a flat part."""
    if type(part) is not dict or not _is_flat(part):
        return canonical(part)
    try:
        return orjson.dumps(part, option=SORTED)
    except orjson.JSONEncodeError as error:
        raise NotCanonical(str(error)) from error


def _commit(form: bytes) -> str:
    return b2a_base64(sha256(_PART_PREFIX + form).digest(), newline=False).decode()


def _is_skeleton(whole: dict[str, Json]) -> bool:
    names, types = tuple(whole), tuple(map(type, whole.values()))
    if _SHAPES.get(names) != types and not _is_new_shape(names, types):
        return False
    try:  # joining is the quickest way to check that all entries are text
        "".join(cast("list[str]", whole["p"]) + cast("list[str]", whole["c"]))
    except TypeError:
        return False
    return True


def _is_flat(part: dict[str, Json]) -> bool:
    """Tell whether a part holds only strings, integers, booleans and null, under ASCII names."""
    names, types = tuple(part), tuple(map(type, part.values()))
    return _FLAT_SHAPES.get(names) == types or _is_new_flat_shape(names, types)


# A log has a few dozen shapes and millions of lines: each shape is checked once and from then on only recognized.
_Shapes = dict[tuple[str, ...], tuple[type, ...]]
_SHAPES: _Shapes = {}
_FLAT_SHAPES: _Shapes = {}
_MOST_SHAPES = 1024


def _is_new_shape(names: tuple[str, ...], types: tuple[type, ...]) -> bool:
    return _is_shape(names, types) and _remember(_SHAPES, names, types)


def _is_new_flat_shape(names: tuple[str, ...], types: tuple[type, ...]) -> bool:
    return FLAT.issuperset(types) and "".join(names).isascii() and _remember(_FLAT_SHAPES, names, types)


def _remember(shapes: _Shapes, names: tuple[str, ...], types: tuple[type, ...]) -> bool:
    if len(shapes) < _MOST_SHAPES:
        shapes[names] = types
    return True


def _is_shape(names: tuple[str, ...], types: tuple[type, ...]) -> bool:
    """Tell whether a skeleton may have members of these names and types."""
    members = dict(zip(names, types, strict=True))
    return (
        names[:3] == ("i", "t", "k")
        and types[:3] == (int, str, str)
        and members.get("p") is members.get("c") is list
        and types.count(list) == 2
        and members.get("g", str) is str
        and _SKELETON_TYPES.issuperset(types)
        and all(name.isascii() for name in names)
    )
