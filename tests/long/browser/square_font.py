"""A font in which each Chinese character is a square, as wide as in any real font.

The browser of the tests brings a font for Latin letters only. Without one for Chinese, lines would break elsewhere than
on people's screens. A real one has ten megabytes, and pages are laid out the same with this one.
"""

import struct
from itertools import accumulate
from pathlib import Path

_EM = 1000
_TOP = 880  # of the square; it reaches below the line, as Chinese characters do
_DATE = 3_786_825_600  # seconds since 1904; any will do
_RANGES = (  # punctuation and kana, rare, common, compatible, full-width
    (0x3000, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
)
_GLYPHS = 1 + sum(last - first + 1 for first, last in _RANGES)


def write_square_font(path: Path) -> None:
    """Write the font: OpenType with TrueType outlines."""
    path.write_bytes(_file({b"cmap": _cmap(), b"name": _name(), **_outlines(), **_measures()}))


def _file(tables: dict[bytes, bytes]) -> bytes:
    names, padded = sorted(tables), [_padded(tables[name]) for name in sorted(tables)]
    starts = accumulate([12 + 16 * len(names), *map(len, padded)])
    index = b"".join(
        struct.pack(">4sIII", name, _sum(data), start, len(tables[name]))
        for name, data, start in zip(names, padded, starts, strict=False)
    )
    return struct.pack(">IHHHH", 0x10000, len(names), 128, 3, len(names) * 16 - 128) + index + b"".join(padded)


def _cmap() -> bytes:
    """Give each character of the ranges a glyph of its own: Chromium seeks no font for what shares one."""
    glyphs = accumulate((last - first + 1 for first, last in _RANGES), initial=1)
    groups = b"".join(struct.pack(">III", *ends, glyph) for ends, glyph in zip(_RANGES, glyphs, strict=False))
    head = struct.pack(">HHIII", 12, 0, 16 + len(groups), 0, len(_RANGES))
    return struct.pack(">HHHHI", 0, 1, 3, 10, 12) + head + groups


def _name() -> bytes:
    words = {1: "Squares", 2: "Regular", 4: "Squares", 6: "Squares"}
    texts = [word.encode("utf-16-be") for word in words.values()]
    starts = accumulate([0, *map(len, texts)])
    rows = b"".join(
        struct.pack(">6H", 3, 1, 0x409, number, len(text), start)
        for number, text, start in zip(words, texts, starts, strict=False)
    )
    return struct.pack(">HHH", 0, len(words), 6 + len(rows)) + rows + b"".join(texts)


def _outlines() -> dict[bytes, bytes]:
    left, right, bottom = 60, _EM - 60, _TOP - _EM + 60
    top = _TOP - 60
    box = struct.pack(">hhhhh", 1, left, bottom, right, top)
    points = struct.pack(">4h4h", left, 0, right - left, 0, bottom, top - bottom, 0, bottom - top)
    square = _padded(box + struct.pack(">HH4B", 3, 0, 1, 1, 1, 1) + points)
    starts = [0, *range(0, len(square) * _GLYPHS, len(square))]  # the first glyph, for all other characters, is empty
    return {b"glyf": square * (_GLYPHS - 1), b"loca": struct.pack(f">{_GLYPHS + 1}I", *starts)}


def _measures() -> dict[bytes, bytes]:
    low = _TOP - _EM
    head = struct.pack(
        ">IIIIHHQQhhhhHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 3, _EM, _DATE, _DATE, 0, low, _EM, _TOP, 0, 8, 2, 1, 0
    )
    return {
        b"head": head,
        b"hhea": struct.pack(">IhhhHhhh8hH", 0x10000, _TOP, low, 0, _EM, 0, 0, _EM, 1, *[0] * 7, 1),
        b"hmtx": struct.pack(f">H{_GLYPHS}h", _EM, 0, *[60] * (_GLYPHS - 1)),
        b"maxp": struct.pack(">I14H", 0x10000, _GLYPHS, 4, 1, 0, 0, 1, *[0] * 8),
        b"post": struct.pack(">IIhhIIIII", 0x30000, 0, 0, 0, 0, 0, 0, 0, 0),
    }


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _sum(data: bytes) -> int:
    words: tuple[int, ...] = struct.unpack(f">{len(data) // 4}I", data)
    return sum(words) % 2**32
