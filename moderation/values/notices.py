"""Values that fill a notice, one type for each way of showing them.

A notice is a message key with such fields. It becomes text only when it is sent, in the language of its reader. Fields
travel as JSON through the outbox. Left to others: the texts (`bot/texts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .events import Json


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, in milliseconds since 1970 UTC; shown in the time zone of the deployment, which is named."""

    ms: int


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time in milliseconds."""

    ms: int


@dataclass(frozen=True, slots=True)
class Who:
    """A person, shown by display name and Matrix id, and linked for clients that can."""

    user: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """Somebody's own words, with the part from `start` to `end` marked; no link in them can be opened by a tap."""

    text: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """An address of ours, to be opened by a tap."""

    url: str


@dataclass(frozen=True, slots=True)
class Code:
    """Something to type, such as a command."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text of the message files inside another one, such as the name of a tier."""

    key: str


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule, shown in the operator's words for it in the reader's language, or else by its name."""

    rule: str


@dataclass(frozen=True, slots=True)
class RoomName:
    """A room, shown by its name and code."""

    room: str


@dataclass(frozen=True, slots=True)
class RoomNames:
    """Several rooms, each shown by its name and code."""

    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bracketed:
    """Several phrases as one, in brackets; nothing if there are none."""

    lines: tuple["Line", ...]


Value = str | int | Moment | Span | Who | Quoted | Link | Code | Phrase | RuleText | RoomName | RoomNames | Bracketed
Fields = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Line:
    """One paragraph of a notice: a key of the message files and the fields that fill it."""

    key: str
    fields: Fields = field(default_factory=dict)


def line(key: str, **fields: Value) -> Line:
    """Return a `Line` with these fields."""
    return Line(key, fields)


def rooms_named(lines: Sequence[Line]) -> frozenset[str]:
    """Return the rooms that these lines name."""
    values = (value for each in lines for value in each.fields.values())
    return rooms_named_together(lines) | {value.room for value in values if isinstance(value, RoomName)}


def rooms_named_together(lines: Sequence[Line]) -> frozenset[str]:
    """Return the rooms that these lines name in lists of several."""
    lists = (value for each in lines for value in each.fields.values() if isinstance(value, RoomNames))
    return frozenset(room for value in lists for room in value.rooms)


def room_or_rooms(rooms: Sequence[str]) -> RoomName | RoomNames:
    """Return the way in which one or several rooms are shown."""
    return RoomName(rooms[0]) if len(rooms) == 1 else RoomNames(tuple(rooms))


def rules_named(lines: Sequence[Line]) -> frozenset[str]:
    """Return the rules that these lines name."""
    return frozenset(value.rule for each in lines for value in each.fields.values() if isinstance(value, RuleText))


def people_named(lines: Sequence[Line]) -> frozenset[str]:
    """Return the people that these lines name."""
    return frozenset(value.user for each in lines for value in each.fields.values() if isinstance(value, Who))


_TAGS: dict[str, type] = {
    "moment": Moment,
    "span": Span,
    "who": Who,
    "quoted": Quoted,
    "link": Link,
    "code": Code,
    "phrase": Phrase,
    "rule": RuleText,
    "room": RoomName,
}
_TAG_OF = {cls: tag for tag, cls in _TAGS.items()}


def lines_to_json(lines: Sequence[Line]) -> list[Json]:
    """Return the lines as JSON: tagged values become ``{"$moment": 1795511540740}``."""
    return [{"key": each.key, "fields": fields_to_json(each.fields)} for each in lines]


def lines_from_json(raw: Json) -> tuple[Line, ...]:
    """Return the lines that `lines_to_json` wrote."""
    assert isinstance(raw, list)
    return tuple(_line_from_json(each) for each in raw)


def _line_from_json(raw: Json) -> Line:
    assert isinstance(raw, dict) and isinstance(raw["fields"], dict)
    return Line(str(raw["key"]), fields_from_json(raw["fields"]))


def fields_to_json(fields: Mapping[str, object]) -> dict[str, Json]:
    """Return the fields of a text as JSON; an object that is no `Value`, such as a path, becomes its `str`."""
    return {name: _to_json(value if isinstance(value, Value) else str(value)) for name, value in fields.items()}


def fields_from_json(raw: Mapping[str, Json]) -> dict[str, Value]:
    """Return the fields that `fields_to_json` wrote."""
    return {name: _from_json(value) for name, value in raw.items()}


def _to_json(value: Value) -> Json:
    if isinstance(value, str | int):
        return value
    if isinstance(value, Bracketed):
        return {"$listed": lines_to_json(value.lines)}
    if isinstance(value, RoomNames):
        return {"$rooms": list(value.rooms)}
    content: list[Json] = [getattr(value, slot) for slot in value.__slots__]
    return {"$" + _TAG_OF[type(value)]: content if len(content) > 1 else content[0]}


def _from_json(value: Json) -> Value:
    if isinstance(value, dict):
        ((tag, content),) = value.items()
        if tag == "$listed":
            return Bracketed(lines_from_json(content))
        if tag == "$rooms":
            assert isinstance(content, list)
            return RoomNames(tuple(map(str, content)))
        made: Value = _TAGS[tag.removeprefix("$")](*(content if isinstance(content, list) else (content,)))
        return made
    assert isinstance(value, str | int)
    return value
