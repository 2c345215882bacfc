"""Comparable forms of texts: what looks alike becomes equal, and every match leads back to the original.

Terms and texts pass through the same function, so a term in any script still matches itself. There are three forms,
each going further than the one before:

- ``literal``: NFKC (UAX #15) and full case folding, nothing invisible (the `Default_Ignorable` characters that
  NFKC_Casefold drops, and other controls), white space collapsed. Accents and letters stay.
- ``letters``: also without accents, and with look-alike letters folded to Latin in the manner of the skeleton of UTS
  #39. Digits of every script become ASCII digits.
- ``skeleton``: also digits and signs used as letters (0 o, 3 e, 4 a, 5 s, 7 t, @ a, $ s), and the plain strokes i, l,
  1, I, | and ! as one. Only good for comparing it with another skeleton.

Rules kept here:
- No input fails, not even lone surrogates.
- A form is stable: normalising it again changes nothing.
- A quotation is a piece of the original text.
- Marks that are spelling stay: vowel signs of Indic scripts, of Thai and its neighbours, the voicing of kana, hamza.
- Marks that readers can do without go: those of Latin, Greek and Cyrillic however many are stacked, Arabic short
  vowels, Hebrew points.

Left to others: simplified and traditional Chinese are not folded (a list can hold both); which characters look alike
(`confusables.py`); letters separated by other characters (`spaced_letters.py`).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from .confusables import LOOKS_LIKE

Form = Literal["literal", "letters", "skeleton"]
Places = tuple[list[int], list[int]]  # for each character of the form: where its original begins and ends


def _characters(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))


# Default_Ignorable_Code_Point (DerivedCoreProperties.txt) beyond the general category Cf, and the object
# replacement character.
_IGNORABLE = _characters(
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xFFFC, 0xFFFC),
    (0xE0000, 0xE0FFF),
)  # fmt: skip
_OPTIONAL_MARKS = _characters(
    (0x0300, 0x036F), (0x0483, 0x0489), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF),
    (0x2DE0, 0x2DFF), (0xA66F, 0xA67D), (0xFE20, 0xFE2F),  # Latin, Greek, Cyrillic, symbols
    (0x0591, 0x05BD), (0x05BF, 0x05BF), (0x05C1, 0x05C2), (0x05C4, 0x05C5), (0x05C7, 0x05C7),  # Hebrew
    (0x0610, 0x061A), (0x0640, 0x0640), (0x064B, 0x0652), (0x0670, 0x0670), (0x06D6, 0x06DC),
    (0x06DF, 0x06E4), (0x06E7, 0x06E8), (0x06EA, 0x06ED),  # Arabic vowels and tatweel; hamza stays
)  # fmt: skip
_MANY = 4  # a sign that stands for more letters than this is spelt out first
_RARE = 0x20000  # code points beyond: rare Han, tags, private use and unassigned ones
_BLANK = "\u2800"  # the empty braille cell: a symbol by category, but it looks like a space
_NOT_A_CHARACTER = "\ufffd"

# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Han, kana; and Hangul, where particles
# follow a noun without one.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u30ff\u3100-\u312f"
    "\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b16f"
    "\U00020000-\U0003ffff]"
)

_ALIKE = {sign: letter for letter, signs in LOOKS_LIKE.items() for sign in signs}
for _first in (0x1F1E6, 0x1F150, 0x1F170):  # regional indicators, letters in black circles and squares
    _ALIKE.update({chr(_first + place): chr(ord("a") + place) for place in range(26)})
# Braille, letter for letter as schools teach it: the dots of each, by number.
_BRAILLE = (
    "1 12 14 145 15 124 1245 125 24 245 13 123 134 1345 135 1234 12345 1235 234 2345 136 1236 2456 1346 13456 1356"
)
_ALIKE.update(
    {
        chr(0x2800 + sum(1 << int(dot) - 1 for dot in dots)): letter
        for letter, dots in zip("abcdefghijklmnopqrstuvwxyz", _BRAILLE.split(), strict=True)
    }
)

_AS_LETTER = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
_AS_LETTER.update(dict.fromkeys("i1!|", "l"))


class _Table(dict[int, str | None]):
    """A table for `str.translate` that computes the value of each common character once.

    A value depends on its key alone, so earlier lookups change no answer.
    """

    def __init__(self, fold: Callable[[str], str]) -> None:
        super().__init__()
        self._fold = fold

    def __missing__(self, code: int) -> str | None:
        value = self._fold(chr(code)) or None  # None keeps str.translate on its fast path for ASCII
        if code < _RARE:  # somebody who sends every possible character must not fill the memory
            self[code] = value
        return value


def _is_invisible(char: str) -> bool:
    if char.isspace():
        return False
    return char in _IGNORABLE or unicodedata.category(char) in ("Cf", "Cc")


def _shown(char: str) -> str:
    return "" if _is_invisible(char) else _spelt_out(char)


def _shown_without_marks(char: str) -> str:
    return "" if _is_invisible(char) or char in _OPTIONAL_MARKS else _spelt_out(char)


def _spelt_out(char: str) -> str:
    """Spell out a sign that stands for many letters: NFKC would do the same, ten times as slowly."""
    letters = unicodedata.normalize("NFKC", char)
    return letters if len(letters) > _MANY else char


def _literal(char: str) -> str:
    if _is_invisible(char):
        return ""
    if char.isspace() or char == _BLANK:
        return " "
    return _NOT_A_CHARACTER if "\ud800" <= char <= "\udfff" else char.casefold()


def _letter_step(char: str) -> str:
    """Take one step towards the look-alike; a character that stays as it is has arrived."""
    if char.isascii() or unicodedata.category(char) in ("Cs", "Zs", "Zl", "Zp", "Cf", "Cc"):
        return _literal(char)
    if char in _ALIKE:
        return _ALIKE[char]
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    bare = "".join(c for c in unicodedata.normalize("NFD", char) if c not in _OPTIONAL_MARKS)
    return "".join(map(_literal, unicodedata.normalize("NFC", bare)))


def _letters(char: str) -> str:
    step = _letter_step(char)
    return step if step == char else "".join(map(_letters, step))


def _skeleton(char: str) -> str:
    return "".join(_AS_LETTER.get(letter, letter) for letter in _letters(char))


_SHOWN = _Table(_shown)
_BARE = _Table(_shown_without_marks)
_DROP: dict[Form, _Table] = {"literal": _SHOWN, "letters": _BARE, "skeleton": _BARE}
_FOLD: dict[Form, _Table] = {
    "literal": _Table(_literal),
    "letters": _Table(_letters),
    "skeleton": _Table(_skeleton),
}


def visible(text: str) -> str:
    """Return what a reader sees of `text`: NFKC without invisible characters; case and accents stay."""
    return unicodedata.normalize("NFKC", text.translate(_SHOWN))


def _fold(text: str, form: Form) -> str:
    if text.isascii():
        return text.translate(_FOLD[form])
    # Dropped first, so that NFKC composes what an invisible character separated. Composed again after folding, which
    # may leave marks out of order (UAX #15, NFKC_Casefold).
    composed = unicodedata.normalize("NFKC", text.translate(_DROP[form]))
    return unicodedata.normalize("NFKC", composed.translate(_FOLD[form]))


@dataclass(frozen=True)
class Normalised:
    """A text in one of the forms, with the way back to the original."""

    original: str
    form: Form
    text: str

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters from `start` to before `end` stood in the original, as whole characters."""
        starts, ends = self._places
        return starts[start], ends[end - 1]

    def quote(self, start: int, end: int) -> str:
        """Return the piece of the original that became the characters from `start` to before `end`."""
        begin, stop = self.span(start, end)
        return self.original[begin:stop]

    @cached_property
    def _places(self) -> Places:
        # Computed only when something was found; most texts never need it.
        if self.original.isascii() and len(self.text) == len(self.original):
            count = len(self.original)
            return list(range(count)), list(range(1, count + 1))
        places = _places(self.original, self.form)
        if len(places[0]) == len(self.text):
            return places
        # If some future Unicode has a normalisation that crosses our clusters, quote all rather than fail.
        return [0] * len(self.text), [len(self.original)] * len(self.text)


@lru_cache(maxsize=16)  # one message is read by many rules
def normalise(text: str, form: Form = "skeleton") -> Normalised:
    """Bring `text` into a comparable form: NFKC and case folding of UAX #15, look-alikes after UTS #39."""
    return Normalised(text, form, " ".join(_fold(text, form).split()))


def _places(text: str, form: Form) -> Places:
    """Fold as `normalise` does, but cluster by cluster, noting where each character came from."""
    starts: list[int] = []
    ends: list[int] = []
    folded: dict[str, str] = {}
    after_space = True  # leading white space is dropped
    for begin, end in _clusters(text):
        cluster = text[begin:end]
        if cluster not in folded:
            folded[cluster] = _fold(cluster, form)
        for char in folded[cluster]:
            if not (after_space and char == " "):
                starts.append(begin)
                ends.append(end)
            after_space = char == " "
    if starts and after_space:
        del starts[-1], ends[-1]
    return starts, ends


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Cut `text` where NFKC cannot reach across: before each character that never joins the one before."""
    if text.isascii():
        yield from zip(range(len(text)), range(1, len(text) + 1), strict=True)
        return
    joins: dict[str, bool] = {}
    begin = 0
    for place, char in enumerate(text):
        if char not in joins:
            joins[char] = _joins_the_one_before(char)
        if place and not joins[char]:
            yield begin, place
            begin = place
    if text:
        yield begin, len(text)


def _joins_the_one_before(char: str) -> bool:
    if _is_invisible(char):
        return True
    first = unicodedata.normalize("NFKD", char)[0]
    return unicodedata.category(first)[0] == "M" or 0x1160 <= ord(first) <= 0x11FF  # Hangul vowels, finals
