"""Words and display names of other people, made safe to show.

Rules kept here:
- Everything stands on one line, without characters that could rearrange or hide text.
- No link in quoted words can be opened by a tap: the signs that make it a link stand in brackets.
- A name is short, and cannot be taken for an id, for a link or for another part of the line.

Left to others: escaping (`catalog.py`), which words are shown (`case_words.py`).
"""

import re
import unicodedata

from moderation.values.notices import Quoted

LONGEST_NAME = 40  # characters
# Control characters, and the bidirectional overrides that let a name rewrite its line.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
# The signs that make a link, of a scheme or of a domain, and those of ids and aliases, which clients link too.
_LINKS = re.compile(r":(?=//)|(?<=\bmatrix):(?=\S)|(?<=\w)[.\u3002\uff0e\uff61](?=[^\W\d_])", re.IGNORECASE)
_IDS = re.compile(r"[@#!][^\s:]+(:)(?=\w)")
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_PILED = re.compile(rf"({_MARK}{{2}}){_MARK}+")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def tame(text: str) -> str:
    """Put a text on one line, without characters that could rearrange or hide text."""
    return _UNSAFE.sub("", text).replace("\n", " ").replace("\t", " ")


def parts(words: Quoted) -> tuple[str, str, str]:
    """Return quoted words, safe to show, as what stands before the mark, in it and behind it."""
    text = tame(words.text)
    start, end = (len(tame(words.text[:place])) for place in (words.start, words.end))
    opens = {found.start() for found in _LINKS.finditer(text)} | {found.start(1) for found in _IDS.finditer(text)}
    shown = [f"[{sign}]" if place in opens else sign for place, sign in enumerate(text)]
    return "".join(shown[:start]), "".join(shown[start:end]), "".join(shown[end:])


def name_of(chosen: str) -> str:
    """Return a name that somebody chose, safe to stand in front of their id; "" if it could be taken for an id."""
    seen = " ".join(tame(_PILED.sub(r"\1", chosen)).replace("·", " ").split())
    if "@" in seen or ":" in seen:
        return ""
    shown = "".join(parts(Quoted(seen[:LONGEST_NAME])))
    turns = any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in shown)
    return f"\u2068{shown}\u2069" if turns else shown
