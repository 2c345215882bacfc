"""The lines of `config.toml` on which settings stand, which `tomllib` does not tell.

Rules kept here:
- The text was already accepted by `tomllib`. So nothing is checked here; only the beginnings and ends of things matter.
- Tables, `[[arrays of tables]]`, dotted and quoted keys, inline tables, arrays and strings over several lines are
  understood.

Left to others: what is wrong with a setting (`errors.py`, `checks.py`).
"""

import re
import tomllib
from collections.abc import Iterator, Mapping

Place = tuple[str | int, ...]  # the keys and indexes that lead to a setting

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""\s*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*(\.?)""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' + r"|'''.*?'{3,5}" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'", re.DOTALL
)
_BARE = re.compile(r"[^,\]}\n#]*")


def lines_of(text: str) -> dict[Place, int]:
    """Return where each key, table and array element of a valid TOML document begins; lines count from 1."""
    return dict(_Scanner(text).document())


def line_at(lines: Mapping[Place, int], path: Place) -> int | None:
    """Return the line of `path`, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scanner:
    """A scanner that walks through the text once; `_at` is the current position."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = (0, 1)  # a position, and its line
        self._last: dict[Place, int] = {}  # array of tables -> index of its newest element

    def document(self) -> Iterator[tuple[Place, int]]:
        table: Place = ()
        self._skip(_SPACE)
        while self._at < len(self._text):
            line = self._line()
            if self._text[self._at] == "[":
                table = self._header()
                yield table, line
            else:
                yield from self._pair(table, line)
            self._skip(_SPACE)

    def _header(self) -> Place:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        keys = self._keys()
        self._at = self._text.index("]" * brackets, self._at) + brackets
        outer = self._resolved(keys[:-1])
        path = (*outer, keys[-1])
        if brackets == 1:
            return self._resolved(keys)
        self._last[path] = self._last.get(path, -1) + 1
        return (*path, self._last[path])

    def _resolved(self, keys: tuple[str, ...]) -> Place:
        """Resolve keys to a path: `[rules.text]` below `[[rules]]` belongs to the newest rule."""
        path: Place = ()
        for key in keys:
            path = (*path, key)
            if path in self._last:
                path = (*path, self._last[path])
        return path

    def _pair(self, table: Place, line: int) -> Iterator[tuple[Place, int]]:
        keys = self._keys()
        path = table
        for key in keys:
            path = (*path, key)
            yield path, line
        self._at = self._text.index("=", self._at) + 1
        yield from self._value(path)

    def _keys(self) -> tuple[str, ...]:
        parts: list[str] = []
        more = True
        while more and (found := _KEY_PART.match(self._text, self._at)):
            self._at = found.end()
            parts.append(_unquoted(found[1]))
            more = found[2] == "."
        return tuple(parts)

    def _value(self, path: Place) -> Iterator[tuple[Place, int]]:
        self._skip(_SPACE)
        if self._text[self._at] == "[":
            yield from self._array(path)
        elif self._text[self._at] == "{":
            yield from self._inline_table(path)
        elif not self._skip(_STRING):
            self._skip(_BARE)

    def _array(self, path: Place) -> Iterator[tuple[Place, int]]:
        for index in self._items("]"):
            yield (*path, index), self._line()
            yield from self._value((*path, index))

    def _inline_table(self, path: Place) -> Iterator[tuple[Place, int]]:
        for _ in self._items("}"):
            yield from self._pair(path, self._line())

    def _items(self, end: str) -> Iterator[int]:
        """Stop before each item between the bracket here and `end`, and at last behind `end`."""
        self._at += 1
        index = 0
        while True:
            self._skip(_SPACE)
            if self._text[self._at] == ",":
                self._at += 1
            elif self._text[self._at] == end:
                self._at += 1
                return
            else:
                yield index
                index += 1

    def _skip(self, what: re.Pattern[str]) -> bool:
        found = what.match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        return True

    def _line(self) -> int:
        position, line = self._counted
        self._counted = (self._at, line + self._text.count("\n", position, self._at))
        return self._counted[1]


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    (key,) = tomllib.loads(f"{part} = 0")
    return key
