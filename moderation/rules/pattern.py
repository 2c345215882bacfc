"""Regular expressions that cannot hang: RE2 runs in time linear in the text, whatever the pattern.

Rules kept here:
- A pattern RE2 does not accept (it has no look-around and no back-references) is an error when the settings are made,
  never later.
- Memory is bounded.
- All patterns are tried at once with `re2.Set`; a pattern is run alone only after a match, to find the place.
- Of a room's own patterns the size, the repetitions and the text they look at are bounded. Linear can still be slow (a
  large program on a long text takes a minute), and the patterns of one room must not hold up the others.

Left to others: look-alike letters, unless `normalise` asks for the form ``letters`` of `normalise_text.py`; how much of
its allowance a room has used (`moderation/judge/room_rules.py`).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import re2
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from moderation.values.errors import Refused
from moderation.values.events import Text

from .base import InChat, RuleBase, StrictSettings
from .check import Hit, Judged, View
from .event_texts import cut, looked_at
from .normalise_text import normalise
from .pattern_faults import fault_of

_MAX_MEM = 4 << 20  # bytes for one pattern: a program of some 100,000 steps
_SET_MAX_MEM = 64 << 20  # bytes for all of them together
MOST_REPEATED = 50
MOST_SHOWN = 60  # characters of a pattern in an error
OWN_TEXT = 4_096  # characters of one event that a room's own patterns look at
_REPEATED = re.compile(r"\\.|\{(\d{1,9})(?:,(\d{0,9}))?\}", re.DOTALL)
_SENTINEL = "\ue000answerable\ue000"  # private use characters: matches only the probe below


def _options(ignore_case: bool, max_mem: int = _MAX_MEM) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.max_mem = max_mem
    options.log_errors = False  # RE2 would write to stderr; we raise
    return options


def _must_compile(pattern: str, *, ignore_case: bool) -> None:
    """Raise `PydanticCustomError`, with the fault, if RE2 does not accept a pattern."""
    try:
        re2.compile(pattern, _options(ignore_case))
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        fault = fault_of(pattern, str(said))
        fields = {"pattern": pattern[:MOST_SHOWN], "piece": fault.piece, "at": fault.at}
        raise PydanticCustomError(fault.kind, "not a pattern", fields) from None


def _well_formed(pattern: str) -> str:
    _must_compile(pattern, ignore_case=False)
    return pattern


class PatternSettings(StrictSettings):
    """Settings of a pattern rule: any one of the patterns breaks it."""

    patterns: tuple[Annotated[str, Field(min_length=1), AfterValidator(_well_formed)], ...] = Field(
        min_length=1,
        description="RE2; between single quotes a backslash is a backslash",
        examples=[["ELEPHANT-[0-9]{4}"]],
    )
    ignore_case: bool = Field(default=True, description="whether capital and small letters are the same")
    normalise: bool = Field(
        default=False, description="true: look-alike letters, accents and invisible signs undone first"
    )

    @model_validator(mode="after")
    def _must_compile_and_match_something(self) -> "PatternSettings":
        for pattern in self.patterns:
            _must_compile(pattern, ignore_case=self.ignore_case)  # a program that ignores case is larger
            if re2.search(pattern, "", _options(self.ignore_case)):
                raise PydanticCustomError("pattern_empty", "matches everything", {"pattern": pattern[:MOST_SHOWN]})
        return self


@lru_cache(4_096)
def steps(patterns: tuple[str, ...], ignore_case: bool) -> int:
    """Return the size of the programs of these patterns, in instructions of RE2."""
    options = _options(ignore_case)
    return sum(re2.compile(pattern, options).programsize for pattern in patterns)


def most_repeated(patterns: Iterable[str]) -> int:
    """Return the largest repetition number in these patterns, as in ``a{2,7}``; 0 if there is none.

    Braces that stand for themselves may be taken for such a number.
    """
    counts = (count for pattern in patterns for found in _REPEATED.finditer(pattern) for count in found.groups())
    return max((int(count) for count in counts if count), default=0)


class Pattern:
    """All patterns of a rule as one automaton; it looks at the first `most` characters of an event."""

    def __init__(self, settings: PatternSettings, where: frozenset[str] = frozenset(), most: int | None = None) -> None:
        self._where = where
        self._most = most
        self._normalise = settings.normalise
        options = _options(settings.ignore_case)
        self._single = [re2.compile(pattern, options) for pattern in settings.patterns]
        self._set = _set_of(settings)

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit for the first text that a pattern matches, with the piece it matched."""
        del view
        left = self._most
        for text in looked_at(event, self._where):
            if left == 0:
                break
            if matched := self._search(text, left):
                return Hit(where=text.where, matched=cut(matched))
            left = None if left is None else max(0, left - len(text.value))
        return None

    def _search(self, text: Text, most: int | None) -> str | None:
        value = text.value[:most]
        read = normalise(value, "letters") if self._normalise else None
        subject = _encodable(read.text if read else value)[:most]
        for index in self._candidates(subject):
            found = self._single[index].search(subject)
            if found and found.end() > found.start():
                span = found.span()
                return read.quote(*span) if read else value[slice(*span)]
        return None

    def _candidates(self, subject: str) -> list[int]:
        if self._set is None:
            return list(range(len(self._single)))
        return sorted(self._set.Match(subject) or ())


class PatternRule(RuleBase, PatternSettings):
    """A rule about regular expressions."""

    IN_CHAT: ClassVar = InChat(("patterns",))

    kind: Literal["pattern"]

    def compiled(self, *, own: bool = False) -> Pattern:
        """Return its automaton."""
        return Pattern(self, frozenset(self.where), OWN_TEXT if own else None)

    def steps(self) -> int:
        """Return the size of its programs, in instructions of RE2."""
        return steps(self.patterns, self.ignore_case)

    def must_suit_a_room(self) -> None:
        """Raise `Refused` if a pattern repeats something too often."""
        super().must_suit_a_room()
        if most_repeated(self.patterns) > MOST_REPEATED:
            raise Refused("error.rule.repeats", limit=MOST_REPEATED)


def _encodable(text: str) -> str:
    # RE2 reads UTF-8, which has no lone surrogates; "?" replaces each, so offsets stay.
    return text if text.isascii() else text.encode(errors="replace").decode()


def _set_of(settings: PatternSettings) -> re2.Set | None:
    """Return the patterns as one set, or None if they are too large together.

    A set whose automaton has no memory left says "no match" to everything, without an error. So it is first probed with
    a text that must match.
    """
    together = re2.Set.SearchSet(_options(settings.ignore_case, _SET_MAX_MEM))
    for pattern in (*settings.patterns, _SENTINEL):
        together.Add(pattern)
    try:
        together.Compile()
    except re2.error:
        return None
    return together if together.Match(_SENTINEL) else None
