"""All entries of the watched lists, compiled: whom they mean is found without looking at each.

Rules kept here:
- A glob knows ``*`` and ``?`` only, and case does not matter; a hash is of the exact id, in its case.
- A server's entry means every user of that server.
- Literal entries, hashes and globs give the same answer as trying each entry by itself.

Pure. Left to others: what follows for somebody who is meant (`matching.py`).
"""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import re2

from moderation.values.ids import UserId, server_of

from .entries import Entry, PolicyList

_MAX_MEM = 64 << 20  # of the automaton for some globs
_TOGETHER = 1_000  # globs
_SENTINEL = "globs together"  # no id has a space


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry that means somebody, and the name of its list."""

    list: str
    entry: Entry


class _Index:
    """The entries about one kind of entity."""

    def __init__(self, entries: Iterable[ListedEntry]) -> None:
        self._exact: defaultdict[str, list[ListedEntry]] = defaultdict(list)
        self._hashed: defaultdict[str, list[ListedEntry]] = defaultdict(list)
        self._globs: list[ListedEntry] = []
        for each in entries:
            if each.entry.digest:
                self._hashed[each.entry.digest].append(each)
            elif each.entry.is_glob:
                self._globs.append(each)
            else:
                self._exact[each.entry.entity.lower()].append(each)
        self._sets = [_GlobSet(self._globs[at : at + _TOGETHER]) for at in range(0, len(self._globs), _TOGETHER)]

    def match(self, entity: str) -> Iterator[ListedEntry]:
        """Yield the entries that mean an entity."""
        yield from self._exact.get(entity.lower(), ())
        if self._hashed:
            yield from self._hashed.get(digest_of(entity), ())
        for each in self._sets:
            yield from each.match(entity.lower())


class _GlobSet:
    """Globs that are tried together; one by one if their automaton is too large."""

    def __init__(self, globs: list[ListedEntry]) -> None:
        self._globs = globs
        options = re2.Options()
        options.max_mem, options.log_errors = _MAX_MEM, False
        patterns = [pattern_of(each.entry.entity) for each in globs]
        self._set = _together(patterns, options)
        self._single = [re2.compile(pattern) for pattern in patterns] if self._set is None else []

    def match(self, entity: str) -> Iterator[ListedEntry]:
        """Yield the entries whose glob fits."""
        text = entity if entity.isascii() else entity.encode(errors="replace").decode()
        if self._set is None:
            yield from (each for each, one in zip(self._globs, self._single, strict=True) if one.fullmatch(text))
        else:
            yield from (self._globs[place] for place in sorted(self._set.Match(text) or ()) if place < len(self._globs))


class Book:
    """The entries of several lists. Making one takes about 100 ms for 50,000 entries."""

    def __init__(self, lists: Iterable[PolicyList] = ()) -> None:
        self.lists = tuple(lists)
        listed = [ListedEntry(each.name, entry) for each in self.lists for entry in each.entries]
        self._users = _Index(each for each in listed if each.entry.kind == "user")
        self._servers = _Index(each for each in listed if each.entry.kind == "server")

    def match(self, user: UserId) -> tuple[ListedEntry, ...]:
        """Return the entries that mean a user, by their id or their server."""
        return (*self._users.match(user), *self._servers.match(server_of(user)))

    def match_server(self, server: str) -> tuple[ListedEntry, ...]:
        """Return the entries that mean a server."""
        return tuple(self._servers.match(server))


def _together(patterns: list[str], options: re2.Options) -> re2.Set | None:
    """Return the patterns as one set; None if they are too large together.

    A set whose automaton has no memory left says "no match" to everything, without an error.
    """
    together = re2.Set.FullMatchSet(options)
    for pattern in (*patterns, _SENTINEL):
        together.Add(pattern)
    try:
        together.Compile()
    except re2.error:
        return None
    return together if together.Match(_SENTINEL) else None


def digest_of(entity: str) -> str:
    """Return the SHA-256 of an entity, or of another text, in padded base64 (MSC4205)."""
    return base64.b64encode(hashlib.sha256(entity.encode("utf-8", "surrogatepass")).digest()).decode()


def pattern_of(glob: str) -> str:
    """Return a glob as a regular expression over the whole of a text without case."""
    parts = re.split(r"([*?])", glob.lower())
    return "(?s)" + "".join({"*": ".*", "?": "."}.get(part) or re2.escape(part) for part in parts)


def entries_with(word: str, lists: Iterable[PolicyList]) -> Iterator[ListedEntry]:
    """Yield the entries whose entity or reason has a word, in whatever case."""
    wanted = word.lower()
    for each in lists:
        for entry in each.entries:
            if wanted in entry.entity.lower() or wanted in entry.reason.lower():
                yield ListedEntry(each.name, entry)
