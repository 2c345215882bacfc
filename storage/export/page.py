"""The page for people without Matrix: who, when, what, by which rule, what was decided and why.

It has three parts: an introduction; the cases, one per sheet; all records in their order. It is written incrementally,
so a large export needs no memory; only the records for the summaries of cases are kept, and with many cases the
summaries are left out.

Rules kept here:
- Times are UTC and say so.
- A Matrix id is always shown in full.

Left to others: escaping (`markup.py`), the words (`words.py`), what is proved (`records.jsonl`).
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from moderation.values.events import Json
from storage.journal.line_format import erased_by

from .choose import NamedRoom
from .markup import FOOT, escaped, facts, head, paragraph, person, quote
from .selection import WITHHELD, text_of
from .words import Words

MAX_CASES = 200  # beyond this, nobody reads summaries
_OF_CASES = frozenset({"case", "decision", "sanction", "credit", "appeal"})
_TIMES = frozenset({"until", "due"})
_NOTHING_AT_0 = frozenset({"n", "until", "due", "count", "limit", "manages", "kept"})
_QUOTED = ("body", "reason", "excerpt", "matched", "words", "detail")
_SMALL = frozenset({"p", "s", "as", "mxid", *_QUOTED})
_SKELETON = frozenset({"i", "t", "k", "g", "p", "c"})

_MOST_KNOWN = 1_000
_PLACE = "9" * 20  # stands for the number of a record

Line = tuple[Mapping[str, Json], list[Json]]  # skeleton, parts as shown


@dataclass(frozen=True, slots=True)
class About:
    """Facts for the page's introduction; values are plain text."""

    origin: str
    size: int
    vkey: str
    made_at_ms: int
    by: str
    reason: str
    asked: Mapping[str, Json]
    records: int
    supporting: frozenset[int]
    rooms: Mapping[str, NamedRoom]
    rules: Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class CaseFile:
    """The records for the summary of one case."""

    lines: list[Line] = field(default_factory=list)

    @property
    def opening(self) -> Line | None:
        """The record that opened it, if it is among the records."""
        return next((line for line in self.lines if line[0]["k"] == "case" and line[0].get("step") == "opened"), None)


class Cases:
    """The records of cases, collected on their way into the export."""

    def __init__(self) -> None:
        self.files: dict[int, CaseFile] = {}

    def note(self, line: Line) -> None:
        """Keep a record if a summary needs it."""
        n = line[0].get("n")
        if type(n) is int and n > 0 and line[0]["k"] in _OF_CASES and len(self.files) <= MAX_CASES:
            self.files.setdefault(n, CaseFile()).lines.append(line)


def page(words: Words, about: About, cases: Cases, lines: Iterable[Line]) -> Iterator[str]:
    """Yield the page, piece by piece."""
    writer = _Page(words, about)
    yield head(words.language, words.text("export.page.title", origin=about.origin))
    yield from writer.introduction()
    if len(cases.files) > MAX_CASES:
        yield paragraph(words.text("export.page.many_cases"))
    else:
        for n in sorted(cases.files):
            yield from writer.case(n, cases.files[n])
    yield f'<section class="records"><h2>{escaped(words.text("export.page.records"))}</h2>\n'
    for skeleton, parts in lines:
        yield writer.record(skeleton, parts)
    yield "</section>\n" + FOOT


class _Page:
    """Writer of the parts of one page."""

    def __init__(self, words: Words, about: About) -> None:
        self._words = words
        self._about = about
        # A page of many records says the same few things again and again.
        self._known = lru_cache(_MOST_KNOWN)(self._word)
        self._room = lru_cache(_MOST_KNOWN)(self._room_of)
        self._before, self._after = (
            escaped(each) for each in words.text("export.page.number", index=_PLACE).split(_PLACE)
        )

    # Introduction

    def introduction(self) -> Iterator[str]:
        about, text = self._about, self._words.text
        yield paragraph(text("export.page.about", origin=about.origin))
        yield facts(
            [
                (text("export.page.made"), escaped(moment(about.made_at_ms))),
                (text("export.page.by"), escaped(about.by)),
                (text("export.page.reason"), escaped(about.reason)),
                (text("export.page.asked"), self._asked()),
                (text("export.page.count"), escaped(about.records)),
                (
                    text("export.page.log"),
                    escaped(text("export.page.log_size", origin=about.origin, size=str(about.size))),
                ),
                (text("export.page.key"), f'<span class="code">{escaped(about.vkey)}</span>'),
            ]
        )
        yield paragraph(text("export.page.check"))
        yield paragraph(text("export.page.withheld_note"))
        if about.rooms:
            yield f"<h2>{escaped(text('export.page.rooms'))}</h2>\n"
            yield facts([(code, _named(room)) for code, room in sorted(about.rooms.items())])

    def _asked(self) -> str:
        rows = []
        for name, value in self._about.asked.items():
            shown = moment(value) if name in ("since", "until") and type(value) is int else value
            listed = ", ".join(map(str, shown)) if isinstance(shown, list) else "" if shown is True else str(shown)
            rows.append(self._words.text(f"export.asked.{name}", value=listed))
        return "<br>".join(escaped(row) for row in rows) or escaped(self._words.text("export.page.asked_all"))

    # Cases

    def case(self, n: int, file: CaseFile) -> Iterator[str]:
        text = self._words.text
        yield f'<section class="case"><h2>{escaped(text("export.case.title", n=str(n)))}</h2>\n'
        if file.opening:
            yield facts(self._opening(*file.opening))
        for skeleton, parts in file.lines:
            if (skeleton, parts) != file.opening:
                yield f"<h3>{escaped(self._title(skeleton))} · {escaped(clock(skeleton))}</h3>\n"
                yield facts(self._fields(skeleton)) + "".join(self._part(part) for part in parts)
                yield f'<p class="no">{escaped(text("export.page.see", index=str(skeleton["i"])))}</p>\n'
        yield "</section>\n"

    def _opening(self, skeleton: Mapping[str, Json], parts: list[Json]) -> list[tuple[str, str]]:
        text = self._words.text
        rule = str(skeleton.get("rule", ""))
        rows = [
            (text("export.field.rule"), self._rule(rule)),
            (text("export.field.class"), self._value("class", skeleton.get("class"))),
            (text("export.case.opened"), escaped(clock(skeleton))),
            (text("export.field.due"), self._value("due", skeleton.get("due"))),
            (text("export.field.decide"), self._value("decide", skeleton.get("decide"))),
            (text("export.page.room"), self._room(str(skeleton.get("g", "")))),
        ]
        return [*rows, (text("export.case.concerns"), "".join(self._part(part) for part in parts))]

    def _rule(self, name: str) -> str:
        spoken = self._about.rules.get(name, {})
        said = spoken.get(self._words.language) or next(iter(spoken.values()), "")
        return f"<bdi>{escaped(name)}</bdi>" + (f"<br>{escaped(said)}" if said else "")

    # Records

    def record(self, skeleton: Mapping[str, Json], parts: list[Json]) -> str:
        """Return one record of the list."""
        index = skeleton["i"]
        style = ' class="supports"' if index in self._about.supporting else ""
        number = f"{self._before}{index}{self._after}"
        top = f'<p class="head"><b>{escaped(self._title(skeleton))}</b> {escaped(clock(skeleton))} '
        top += f'{self._room(str(skeleton.get("g", "")))} <span class="no">{number}</span></p>\n'
        fields = "".join([f"<p>{escaped(name)}: {value}</p>\n" for name, value in self._fields(skeleton)])
        return f"<article{style}>{top}{fields}{''.join(self._part(part) for part in parts)}</article>\n"

    def _title(self, skeleton: Mapping[str, Json]) -> str:
        return self._known(f"export.kind.{skeleton['k']}")

    def _word(self, key: str) -> str:
        """Return a word of the program in the reader's language; itself if there is none."""
        return self._words.text(key) if self._words.has(key) else key.split(".", 2)[2]

    def _room_of(self, code: str) -> str:
        name = self._about.rooms.get(code, NamedRoom()).name
        return f"<span>{escaped(code)}</span>" + (f" <bdi>{escaped(name)}</bdi>" if name else "") if code else ""

    def _fields(self, skeleton: Mapping[str, Json]) -> list[tuple[str, str]]:
        found = []
        for name, value in skeleton.items():
            if name not in _SKELETON and value not in (-1, "-", "") and not (name in _NOTHING_AT_0 and value == 0):
                shown = self._rule(str(value)) if name == "rule" else self._value(name, value)
                found.append((self._known(f"export.field.{name}"), shown))
        return found

    def _value(self, name: str, value: Json | None) -> str:
        if name in _TIMES and type(value) is int:
            return escaped(moment(value)) if value else ""
        if isinstance(value, str):
            return escaped(self._known(f"export.word.{value}"))
        return "" if value is None else escaped(value)

    def _part(self, part: Json) -> str:
        text = self._words.text
        if part is WITHHELD:
            return paragraph(text("export.part.withheld"), "gone")
        if (by := erased_by(part)) is not None:
            date = text_of(part, "erased")
            return paragraph(text("export.part.erased", date=date, by=str(by)), "gone")
        data: Mapping[str, Any] = part if isinstance(part, Mapping) else {"value": part}
        return self._who(data) + self._said(data) + _small(data)

    def _who(self, data: Mapping[str, Any]) -> str:
        if "mxid" not in data:
            return ""
        label = self._known(f"export.as.{data.get('as', 'sender')}")
        return f"<p>{escaped(label)}: {person(data['mxid'])}</p>\n"

    def _said(self, data: Mapping[str, Any]) -> str:
        found = ""
        for name in _QUOTED:
            if name in data and data[name] != "":
                value = data[name] if isinstance(data[name], str) else orjson.dumps(data[name]).decode()
                label = "" if name == "body" else paragraph(self._words.text(f"export.said.{name}"))
                found += label + quote(value)
        return found


def _named(room: NamedRoom) -> str:
    return f'<bdi>{escaped(room.name)}</bdi> <span class="small">{escaped(room.room_id)}</span>'


def _small(data: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in data.items() if name not in _SMALL}
    return f'<p class="small code">{escaped(orjson.dumps(rest).decode())}</p>\n' if rest else ""


def clock(skeleton: Mapping[str, Json]) -> str:
    """Return the time of a record."""
    return str(skeleton["t"]).replace("T", " ")[:19] + " UTC"


def moment(ms: int) -> str:
    """Return the UTC time for milliseconds since 1970, or the number itself if no calendar has it."""
    try:
        return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return str(ms)
