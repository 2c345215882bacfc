"""Unwanted words and phrases, however they are disguised.

Terms and texts are compared as skeletons (`normalise_text.py`, after UTS #39), all terms at once, so the cost of a
message hardly depends on their number. A term whose skeleton changes with its case (Greek, some Cyrillic) is also
looked for letter by letter.

Rules kept here:
- A word written plainly is itself: "fall" is never a disguise of "fail", nor is a price one of a word.
- Words that are cut, turned or stretched (`readings.py`) are read as what they were; this is for terms of five letters
  (three in scripts that put no spaces), since shorter ones would be found in innocent text.
- With `whole_words` a term ends where no letter or digit follows, except next to scripts that put no spaces between
  words (Han, kana, Hangul, Thai, Lao, Khmer, Burmese).
- An exception is compared as it is written, never in disguise, so it opens no way round a term.

Left to others: the terms. None are shipped.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import accumulate
from typing import Annotated, ClassVar, Literal

from ahocorasick_rs import AhoCorasick, Implementation
from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from moderation.values.events import Text

from .base import InChat, RuleBase, StrictSettings
from .check import Hit, Judged, View
from .event_texts import cut, looked_at
from .normalise_text import UNSPACED, Normalised, normalise, visible
from .readings import Reading, may_be_stretched, put_together, squeezed, stretches, turned
from .spaced_letters import joined, runs

# Words in one case (or a capital first) and numbers, including amounts of money.
_PLAIN = re.compile(
    r"(?:[a-z]+|[A-Z][a-z]*|[A-Z]+|\$?[0-9]+)(?:[ \t\n\r,.;:'-]+(?:[a-z]+|[A-Z][a-z]*|[A-Z]+|\$?[0-9]+))*"
)
_SIGNS_AT_EDGES = "!|"  # letters inside a word ("k!ll"), punctuation around it ("Ana!")
_LEAST_READ = 5  # letters a term must have to be looked for in words that are cut, turned or stretched
_LEAST_UNSPACED = 3
_LEAST_APART = 3  # letters a term must have to be looked for among single letters
_DFA_BELOW = 64 << 10  # characters of terms: beyond this, a DFA takes too much memory


def _has_text(term: str) -> str:
    if not normalise(term).text:
        raise PydanticCustomError("term", "expected a word or phrase")
    return term


Term = Annotated[str, AfterValidator(_has_text)]


class TermSettings(StrictSettings):
    """Settings of a term rule: any one of the terms breaks it."""

    model_config = ConfigDict(populate_by_name=True)

    terms: tuple[Term, ...] = Field(
        min_length=1,
        description="words and phrases; disguised spellings are found as well",
        examples=[["purple elephant"]],
    )
    whole_words: bool = Field(default=True, description="false: also inside longer words")
    spaced: bool = Field(default=False, description="true: also with spaces or dots between the letters")
    except_: tuple[Term, ...] = Field(
        default=(),
        alias="except",
        description="what is fine although a term is in it",
        examples=[["purple elephant sanctuary"]],
    )


class _Finder:
    """A search for many strings at once (Aho-Corasick)."""

    def __init__(self, needles: Iterable[str]) -> None:
        self.needles = tuple(needles)
        small = sum(map(len, self.needles)) < _DFA_BELOW
        kind = Implementation.DFA if small else Implementation.ContiguousNFA
        self._automaton = AhoCorasick(self.needles, implementation=kind, store_patterns=False)

    def find(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Yield every place of every needle, overlapping ones too: a rejected match must not hide another."""
        for index, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            yield self.needles[index], start, end


class _Message:
    """One text while it is searched; its forms are computed when they are first needed."""

    def __init__(self, original: str, exceptions: _Finder | None) -> None:
        self.original = original
        self._exceptions = exceptions

    @cached_property
    def skeleton(self) -> Normalised:
        return normalise(self.original)

    @cached_property
    def letters(self) -> Normalised:
        return normalise(self.original, "letters")

    @cached_property
    def literal(self) -> Normalised:
        return normalise(self.original, "literal")

    @cached_property
    def _excepted(self) -> tuple[list[int], list[int]]:
        """Return where exceptions begin, in order, and how far those that began up to each place reach."""
        if self._exceptions is None:
            return [], []
        found = self._exceptions.find(self.literal.text)
        spans = sorted(self.literal.span(start, end) for _, start, end in found)
        return [begin for begin, _ in spans], list(accumulate((stop for _, stop in spans), max))

    def is_excepted(self, begin: int, stop: int) -> bool:
        """Return whether the piece of the original lies inside an exception."""
        begins, reach = self._excepted
        before = bisect_right(begins, begin)
        return before > 0 and stop <= reach[before - 1]


class Terms:
    """The terms of a rule, compiled."""

    def __init__(self, settings: TermSettings, where: frozenset[str] = frozenset()) -> None:
        self._where = where
        self._whole_words = settings.whole_words
        self._meant = _meant(settings.terms)
        self._skeletons = _Finder(self._meant)
        self._literals = _finder(_case_changes_it(settings.terms))
        self._exceptions = _finder({normalise(word, "literal").text for word in settings.except_})
        self._squeezed_meant = _squeezed(self._meant)
        self._squeezed = _finder(self._squeezed_meant)
        self._apart_meant = _apart(self._meant) if settings.spaced else {}
        self._apart = _finder(self._apart_meant)

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit for the first text that holds a term, with the term as it was written."""
        del view
        for text in looked_at(event, self._where):
            matched = self._search(text)
            if matched is not None:
                return Hit(where=text.where, matched=cut(matched))
        return None

    def _search(self, text: Text) -> str | None:
        message = _Message(text.value, self._exceptions)
        ways = (self._disguised, self._as_written, self._read_otherwise, self._stretched, self._set_apart)
        return next((matched for way in ways for matched in way(message)), None)

    def _disguised(self, message: _Message) -> Iterator[str]:
        read = message.skeleton
        for needle, start, end in self._skeletons.find(read.text):
            if self._whole_words and not _is_whole(read, start, end):
                continue
            quote = read.quote(start, end)
            if not _means_itself(quote, self._meant[needle]) and not message.is_excepted(*read.span(start, end)):
                yield quote

    def _as_written(self, message: _Message) -> Iterator[str]:
        if self._literals is None:
            return
        read = message.literal
        for _, start, end in self._literals.find(read.text):
            if self._whole_words and not _is_whole(read, start, end):
                continue
            if not message.is_excepted(*read.span(start, end)):
                yield read.quote(start, end)

    def _read_otherwise(self, message: _Message) -> Iterator[str]:
        if self._squeezed is None:  # no term is long enough
            return
        whole = put_together(message.original)
        for reading in (*((whole,) if whole else ()), *turned(message.original)):
            yield from self._in(reading, message)

    def _in(self, reading: Reading, message: _Message) -> Iterator[str]:
        read = normalise(reading.text)
        for needle, start, end in self._skeletons.find(read.text):
            begin, stop = read.span(start, end)
            if not _is_long(needle) or (reading.seams and not reading.has_seam(begin, stop)):
                continue
            begins = reading.is_seam(begin) or _ends_here(read, start, start - 1)
            if self._whole_words and not (begins and (reading.is_seam(stop) or _ends_here(read, end - 1, end))):
                continue
            span = reading.span(begin, stop)
            if not _means_itself(reading.text[begin:stop], self._meant[needle]) and not message.is_excepted(*span):
                yield message.original[slice(*span)]

    def _stretched(self, message: _Message) -> Iterator[str]:
        if self._squeezed is None:
            return
        original = message.original
        if not may_be_stretched(original.lower() if original.isascii() else message.letters.text):
            return
        read = message.skeleton
        text, places = squeezed(read.text)
        for needle, start, end in self._squeezed.find(text):
            first, last = places[start], places[end] if end < len(places) else len(read.text)
            if self._whole_words and not _is_whole(read, first, last):
                continue
            quote = read.quote(first, last)
            if self._is_stretched(quote, read.text[first:last], needle) and not message.is_excepted(
                *read.span(first, last)
            ):
                yield quote

    def _is_stretched(self, quote: str, skeleton: str, needle: str) -> bool:
        """Return whether a piece is a term of `needle` with letters repeated; if plainly written, compared plainly."""
        written = normalise(quote, "literal").text
        plain = _PLAIN.fullmatch(visible(quote).strip())
        return any(
            stretches(written, term) if plain else stretches(skeleton, normalise(term).text)
            for term in self._squeezed_meant[needle]
        )

    def _set_apart(self, message: _Message) -> Iterator[str]:
        if self._apart is None:
            return
        read = message.letters
        for run in runs(read.text):
            for needle, start, end in self._apart.find(normalise(run.letters).text):
                if self._whole_words and not run.is_set_off(start, end):
                    continue
                places = run.places[start:end]
                letters = "".join(read.quote(place, place + 1) for place in places)
                if not _means_itself(letters, self._apart_meant[needle]):
                    yield read.quote(places[0], places[-1] + 1)


class TermsRule(RuleBase, TermSettings):
    """A rule about words and phrases."""

    IN_CHAT: ClassVar = InChat(("terms",))

    kind: Literal["terms"]

    def compiled(self, *, own: bool = False) -> Terms:
        """Return the search for its terms."""
        del own
        return Terms(self, frozenset(self.where))


def _finder(needles: Iterable[str]) -> _Finder | None:
    needles = tuple(needles)
    return _Finder(needles) if needles else None


def _meant(terms: Iterable[str]) -> dict[str, set[str]]:
    """Map each skeleton to the terms it stands for, as they are written."""
    meant: dict[str, set[str]] = {}
    for term in terms:
        literal = normalise(term, "literal").text
        for variant in {term, term.lower(), term.upper()}:
            meant.setdefault(normalise(variant).text, set()).add(literal)
    return meant


def _case_changes_it(terms: Iterable[str]) -> set[str]:
    """Return the terms whose skeleton depends on case: capital eta looks like H, small eta like n."""
    return {
        normalise(term, "literal").text
        for term in terms
        if not term.isascii() and normalise(term.lower()).text != normalise(term.upper()).text
    }


def _is_long(letters: str) -> bool:
    """Return whether a term has enough letters to be looked for in words that are cut, turned or stretched."""
    count = len(joined(letters))
    return count >= _LEAST_READ or (count >= _LEAST_UNSPACED and UNSPACED.match(letters) is not None)


def _squeezed(meant: dict[str, set[str]]) -> dict[str, set[str]]:
    """Map as `_meant` does, with each run of a letter as one, for terms that are long enough."""
    found: dict[str, set[str]] = {}
    for skeleton, literals in meant.items():
        if _is_long(skeleton):
            found.setdefault(squeezed(skeleton)[0], set()).update(literals)
    return found


def _apart(meant: dict[str, set[str]]) -> dict[str, set[str]]:
    """Map as `_meant` does, for terms whose letters stand apart; short ones would be found in too many lists."""
    apart: dict[str, set[str]] = {}
    for skeleton, literals in meant.items():
        letters = joined(skeleton)
        if len(letters) >= _LEAST_APART or (len(letters) > 1 and UNSPACED.match(letters)):
            apart.setdefault(letters, set()).update(map(joined, literals))
    return apart


def _is_whole(read: Normalised, start: int, end: int) -> bool:
    return _ends_here(read, start, start - 1) and _ends_here(read, end - 1, end)


def _ends_here(read: Normalised, inside: int, outside: int) -> bool:
    """Return whether a word ends between two neighbouring places of a text."""
    if not 0 <= outside < len(read.text):
        return True
    ours, next_one = read.text[inside], read.text[outside]
    if not next_one.isalnum() or not ours.isalnum():  # a term such as "c++" brings its own end
        return True
    if not (next_one.isascii() and ours.isascii()) and (UNSPACED.match(ours) or UNSPACED.match(next_one)):
        return True
    if read.original.isascii() and next_one not in "asl":
        return False  # no ASCII sign becomes another letter; this saves the way back to the original
    # In the skeleton "$" and "!" are letters; around a word they are punctuation.
    return not any(char.isalnum() for char in read.quote(outside, outside + 1))


def _means_itself(quote: str, meant: set[str]) -> bool:
    """Return whether `quote` only looks like one of the terms `meant`, but plainly says something else."""
    seen = visible(quote).strip()
    if normalise(seen, "literal").text in meant:
        return False
    return bool(_PLAIN.fullmatch(seen)) or seen[:1] in _SIGNS_AT_EDGES or seen[-1:] in _SIGNS_AT_EDGES
