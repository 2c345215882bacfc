"""The order in which a text with direction marks is seen: the Unicode Bidirectional Algorithm, UAX #9.

``\\u202enuf`` reads "fun" on every screen. Only marks and embeddings that nobody sees can reverse words like this; a
text without them is read in the order it is written in, in any script.

Rules kept here:
- Nothing raises; time grows with length alone (the algorithm is unicode-bidi's, in Rust).

Left to others: judging. The text as written is judged as well (`parse_texts.py`).
"""

import re
import unicodedata

from bidi import get_display

_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LINES = re.compile(r"[\n\r\x1c-\x1e\x85\u2029]+")
_FROM_THE_RIGHT = frozenset({"R", "AL"})


def visual(text: str) -> tuple[str, ...]:
    """Return how `text` is seen, if that differs from how it was written: read from the left, then from the right."""
    if text.isascii() or not _DIRECTIONS.search(text):
        return ()
    lines = [line for line in _LINES.split(text) if _DIRECTIONS.search(line)]
    bare = _DIRECTIONS.sub("", "\n".join(lines))
    seen = _DIRECTIONS.sub("", "\n".join(map(_displayed, lines)))
    # Glyphs from left to right; readers of Hebrew or Arabic read them the other way.
    from_the_right = any(unicodedata.bidirectional(char) in _FROM_THE_RIGHT for char in bare)
    ways = (seen, "\n".join(line[::-1] for line in seen.split("\n"))) if from_the_right else (seen,)
    return tuple(way for way in ways if way != bare)


def _displayed(line: str) -> str:
    return str(get_display(line.encode("utf-8", "replace").decode()))  # half a letter has no direction
