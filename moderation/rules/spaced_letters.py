"""Letters set apart: ``b.a.d w-o-r-d``, ``f u c k``.

A run is two or more single letters or digits, each separated from the next by at most forty separators. Rules kept
here:
- This only finds runs and the places of their letters.
- Ordinary words are never joined, so "as sold" holds no word across its space.

Left to others: which runs hold a term (`terms.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import re2

# White space, ASCII punctuation, dashes and dots of other keyboards, arrows, boxes, emoji.
_BETWEEN = (
    r"[\s!-/:-@\[-`{-~\x{b7}\x{2010}-\x{2027}\x{2043}\x{2190}-\x{2bff}\x{3001}-\x{3003}\x{30fb}\x{1f000}-\x{1faff}]"
)
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}"  # a run may follow them directly
_LONGEST = 40  # signs between two letters
_OUTSIDE = rf"(?:^|$|[{_UNSPACED}]|{_BETWEEN})"
_RUN = re2.compile(rf"{_OUTSIDE}([\pL\pN](?:{_BETWEEN}{{1,{_LONGEST}}}[\pL\pN])+){_OUTSIDE}")


@dataclass(frozen=True, slots=True)
class Run:
    """Letters that were set apart, and where each of them stood."""

    letters: str
    places: tuple[int, ...]
    gaps: tuple[str, ...]  # what stood between a letter and the next

    def is_set_off(self, start: int, end: int) -> bool:
        """Return whether the letters from `start` to before `end` are a word of their own in this run.

        They are if the run ends there, or if the gap differs from the one inside the word: the two spaces in ``b a d  w
        o r d``, the space in ``b.a.d w.o.r.d``.
        """
        before = start == 0 or self.gaps[start - 1] != self.gaps[start]
        after = end == len(self.letters) or self.gaps[end - 1] != self.gaps[end - 2]
        return before and after


def runs(text: str) -> Iterator[Run]:
    """Yield the runs of single letters in `text`, in order."""
    return (_run(text, *found.span(1)) for found in _RUN.finditer(text))


def _run(text: str, start: int, end: int) -> Run:
    places = tuple(place for place in range(start, end) if text[place].isalnum())
    gaps = tuple(text[here + 1 : there] for here, there in pairwise(places))
    return Run("".join(text[place] for place in places), places, gaps)


def joined(text: str) -> str:
    """Return `text` without anything that could stand between letters: a term as a run would spell it."""
    return "".join(char for char in text if char.isalnum())
