"""Other readings of a text, which people read without noticing: words cut, turned or stretched.

- *cut*: ``for-bidden``, a line break or an emoji inside a word. Pieces separated only by such signs are joined.
- *turned*: letters upside down, in their order or from the end (``uǝppᴉqɹoɟ``).
- *stretched*: ``ffoorrbbiidden``. Runs of a letter count as one letter, in the term and in the text.

Rules kept here:
- A reading consists of the text's own characters, so that a match can be quoted.
- A text without such disguises costs one search.
- Time grows linearly with the length (the patterns never backtrack).

Left to others: which terms are looked for in a reading, and which matches count (`terms.py`); order of writing, which
is undone for all rules at the door (`bot/events/visual_order.py`); Braille (`normalise_text.py`).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

# Hyphens and dashes, signs that stand inside words, line breaks, arrows, boxes, emoji and their joiners; or one dot.
_MARKS = "\\-_*~/|+=^'`\u00b7\u2010-\u2015\u2018\u2019\u2022\u2027\u2043\u30fb\r\n\\\\"
_SIGNS = "\u200d\ufe0f\u20e3\u2190-\u2bff\U0001f000-\U0001f12f\U0001f18f-\U0001f1e5\U0001f200-\U0001faff"
_CUTS = f"{_MARKS}{_SIGNS}"
# Anything else that is no space and no punctuation around words: letters, digits, marks, invisible signs, @ $ and !.
_LETTER = rf"[^\s{_CUTS}.,;:?\"()\[\]{{}}<>#%&«»“”„、。，；：！？（）《》「」]"
_PART = rf"(?:[{_CUTS}]++|\.)"
# Possessive, and only from where a word begins: so nothing is looked at twice.
_CUT = re.compile(rf"(?<!{_LETTER}){_LETTER}++(?:{_PART}{_LETTER}++)++")
_PARTS = re.compile(_PART)
_MAY_BE_CUT = re.compile(rf"[{_CUTS}.](?={_LETTER})")
_SHORT = 6  # the least characters of a cut word of ASCII that can be a term of five letters: not "don't"

_TURNED = dict(
    zip(
        "ɐɒqɔpǝɟƃɓᵷɥᴉıɾſʞꞁʃɯudbɹʇnʌʍʎ¡¿",
        "aabcdefgggh iijjkllmnpqrtuvwy!?".replace(" ", ""),
        strict=True,
    )
)
_ONLY_TURNED = re.compile("[ɐɒɔǝɟƃᵷɥᴉɾʞꞁɯɹʇʌʍʎ]")  # letters that only linguists write upright

_RUN = re.compile(r"([^\W_])\1+")
_RULES = 4  # texts of which each reading is cached: one message is read by many rules
_LONG = 9  # letters of a word in which one doubled letter is enough to look at it


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of a text, with the original place of each of its characters, and where pieces were joined."""

    text: str
    places: tuple[int, ...]
    seams: tuple[int, ...] = ()  # in order

    def has_seam(self, start: int, end: int) -> bool:
        """Return whether pieces were joined between two places."""
        return bisect_right(self.seams, start) < bisect_left(self.seams, end)

    def is_seam(self, place: int) -> bool:
        """Return whether a joined piece begins at this place."""
        found = bisect_left(self.seams, place)
        return found < len(self.seams) and self.seams[found] == place

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the start and end (exclusive) of where the characters of a piece stood."""
        stood = self.places[start:end]
        return min(stood), max(stood) + 1


@lru_cache(_RULES)
def put_together(text: str) -> Reading | None:
    """Return the words of `text` that are cut, without what cuts them; None if there are none."""
    if not _MAY_BE_CUT.search(text):
        return None
    letters: list[str] = []
    places: list[int] = []
    seams: list[int] = []
    for word in _CUT.finditer(text):
        start, stop = word.span()
        if stop - start < _SHORT and word[0].isascii():
            continue
        for begin, end in _pieces(text[start:stop]):
            if begin:
                seams.append(len(letters))
            letters += text[start + begin : start + end]
            places += range(start + begin, start + end)
        letters.append(" ")
        places.append(stop - 1)
    return Reading("".join(letters), tuple(places), tuple(seams)) if seams else None


def _pieces(word: str) -> Iterator[tuple[int, int]]:
    begin = 0
    for part in _PARTS.finditer(word):
        if part.start() > begin:
            yield begin, part.start()
        begin = part.end()
    yield begin, len(word)


@lru_cache(_RULES)
def turned(text: str) -> tuple[Reading, ...]:
    """Return `text` with its letters set upright, as they stand and from the end; empty if none is turned."""
    if text.isascii() or not _ONLY_TURNED.search(text):
        return ()
    upright = "".join(_TURNED.get(char, char) for char in text.lower()) if len(text.lower()) == len(text) else ""
    if not upright:
        return ()
    places = tuple(range(len(text)))
    return Reading(upright[::-1], places[::-1]), Reading(upright, places)


@lru_cache(_RULES)
def may_be_stretched(letters: str) -> bool:
    """Return whether a ``letters`` form has a letter three times in a row, or a word with several doubled letters."""
    previous = -1
    for run in _RUN.finditer(letters):
        word = letters.rfind(" ", max(0, run.start() - 60), run.start())
        if len(run[0]) > 2 or word == previous:
            return True
        previous = word
        stop = letters.find(" ", run.end(), run.end() + 60)
        if (stop if stop >= 0 else len(letters)) - word > _LONG:
            return True
    return False


@lru_cache(_RULES)
def squeezed(text: str) -> tuple[str, tuple[int, ...]]:
    """Return `text` with each run of a letter as one letter, and where each remaining letter began."""
    places = tuple(
        place for place, (one, other) in enumerate(pairwise(" " + text)) if one != other or not other.isalnum()
    )
    return "".join(text[place] for place in places), places


def stretches(text: str, term: str) -> bool:
    """Return whether `text` is `term` with letters repeated, often enough to be no other word."""
    ours, theirs = _runs(text), _runs(term)
    if [letter for letter, _ in ours] != [letter for letter, _ in theirs]:
        return False
    more = [(count, count - meant) for (_, count), (_, meant) in zip(ours, theirs, strict=True)]
    if any(extra < 0 for _, extra in more):
        return False
    total = sum(extra for _, extra in more)
    return total > 1 or (total == 1 and (len(term) >= _LONG - 1 or any(extra and count > 2 for count, extra in more)))


def _runs(text: str) -> list[tuple[str, int]]:
    runs: list[tuple[str, int]] = []
    for char in text:
        if runs and runs[-1][0] == char:
            runs[-1] = char, runs[-1][1] + 1
        else:
            runs.append((char, 1))
    return runs
