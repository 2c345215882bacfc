"""The reading of names that stand for people: ``Ann Lee``, ``"Ann Lee"``, ``ann``, ``@ann``. Pure.

Rules kept here:
- A name counts only if it fits one person. Words may be the beginning of a longer name or a whole shorter one: then
  all whom they fit are found, and quotes say where the name ends.
- Case, width and invisible characters make no difference. Letters that only look alike never count as the name, but
  those who bear such a name are found too, so that nobody is taken for another.

Left to others: who is in the room, and who bore a name lately (`named_person.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from moderation.rules.normalise_text import normalise
from moderation.values.ids import UserId

from .parse_rule import closing_quote, is_quote

MOST_WORDS = 8  # of a name without quotes
MOST_LETTERS = 256  # of a display name; the rest is not looked at
_ENDS = ":,：，"
_SIGNS = "@＠"


@dataclass(frozen=True, slots=True)
class NamesMeant:
    """The people whom the first words may mean, with the words that name each; `alike` only look like their name."""

    named: Mapping[UserId, int]  # how many words name them, the most
    alike: frozenset[UserId]
    given: str  # the longest words that name somebody, or the first word

    @property
    def people(self) -> tuple[UserId, ...]:
        return tuple(sorted({*self.named, *self.alike}))


def names_in(words: Sequence[str], people: Mapping[UserId, str]) -> NamesMeant:
    """Find whom the first of `words` name. `people`: all who may be meant, with their display names."""
    named: dict[UserId, int] = {}
    alike: set[UserId] = set()
    given = bare(words[0])
    borne = _borne(people)
    for count, name in _readings(words):
        literal = normalise(name, "literal").text
        for user, each in borne.get(normalise(name).text, ()):
            if normalise(each, "literal").text != literal:
                alike.add(user)
                continue
            named[user] = count
            given = name
    return NamesMeant(named, frozenset(alike - set(named)), given)


def same_name(one: str, other: str) -> bool:
    """Tell whether a reader could take one name for the other."""
    return bool(one) and normalise(bare(one)).text == normalise(bare(other)).text


def bare(name: str) -> str:
    """Return a name without the sign in front and the colon that clients put behind it."""
    return name.strip().lstrip(_SIGNS).rstrip(_ENDS).strip()


def _readings(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield what may be the name, with the number of its words: what stands in quotes, or the first words."""
    text = " ".join(words)
    start = 1 if text[0] in _SIGNS else 0
    if is_quote(text[start : start + 1]) and (end := closing_quote(text, start)) is not None:
        yield len(text[: end + 1].split()), bare(text[start + 1 : end])
        return
    for count in range(1, min(len(words), MOST_WORDS) + 1):
        if name := bare(" ".join(words[:count])):
            yield count, name


def _borne(people: Mapping[UserId, str]) -> dict[str, list[tuple[UserId, str]]]:
    """Return all names with those who bear them, by what the names look like."""
    borne: dict[str, list[tuple[UserId, str]]] = {}
    for user, shown in people.items():
        for name in {bare(shown[:MOST_LETTERS]), user[1:], user[1:].partition(":")[0]}:
            if look := normalise(name).text:
                borne.setdefault(look, []).append((user, name))
    return borne
