"""Events and facts as records, and facts back from records.

Rules kept here:
- Anything that concerns a person goes into that person's erasable part; the skeleton gets only numbers and short words.
- A room is written as its group code.
- A change of somebody else's membership is in the part of that other person, except the reason, which is in the part of
  the person who made the change.
- With `content = "metadata"` no text of a message ever reaches the disk.
- What the bot itself says is recorded without its text, since it is about others.

Left to others: writing (`storage/journal/journal.py`), applying facts to the database (`storage/projections/`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from moderation.model.actions.cards import AskDesk, PostBurst, PostCard
from moderation.model.facts import FACTS, Fact, owner_of
from moderation.values.events import (
    Json,
    Media,
    MembershipChanged,
    MessagePosted,
    Received,
    Redacted,
    StateChanged,
    Undecryptable,
    Unreadable,
)
from moderation.values.ids import GroupCode, PersonId, RoomId, UserId

from .journal.record import NOBODY, Draft, Part, Record
from .projections import POSTED, without_marks

Content = Literal["full", "metadata"]
PersonOf = Callable[[UserId], PersonId]

# The journal's name for a field, if different: "class" is a keyword of Python.
_WRITTEN_AS = {"grade": "class", "language": "lang"}
_READ_AS = {written: name for name, written in _WRITTEN_AS.items()}
_ALONE = ("records",)  # what an erasure removed is shown in every export; who did it, and why, need not be
_TELLS_APART = frozenset({"what", "step"})  # records of events have them too, with other values
# Values that most records of a kind would have, and older ones did not have.
_DEFAULTS_LEFT_OUT = {
    "on": -1,
    "undoes": -1,
    "credit": -1,
    "ledger": "credit",
    "asked": "managers",
    "about": 0,
    "message": -1,
    "why": "-",
    "read": 0,
    "note": "-",
    "every": 0,
    "messages": 1,
    "waits": 0,
    "quiet": 0,
    "since": 0,
    "how": "card",
    "asks": 0,
    "sealed": 0,
    "lead": 0,
    "burst": 0,
    "report": 0,
    "reach": "",
    "channel": "member",
    "informed": 0,
    "preview": -1,
    "joint": "-",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """The layout of one class of facts."""

    cls: type[Fact]
    public: tuple[str, ...]
    people: Mapping[str, tuple[str, ...]]  # person field -> the private fields that go with it
    unowned: tuple[str, ...]
    left_out: Mapping[str, object]  # values that are not written
    marks: Mapping[str, tuple[str, ...]]  # fields that distinguish the classes of a kind, and their possible values


# Facts.


def draft_of_fact(fact: Fact, at_ms: int, code: GroupCode | None, person_of: PersonOf) -> Draft:
    """Return the record of a fact. `code` is the group code of `fact.room`."""
    shape = _SHAPES[type(fact)]
    parts = [
        Part(
            person_of(user),
            {"as": who, "mxid": user, **{name: v for name in own if (v := getattr(fact, name))}},
        )
        for who, own in shape.people.items()
        if (user := getattr(fact, who))
    ]
    free = {name: value for name in shape.unowned if (value := getattr(fact, name))}
    alone = {name: free.pop(name) for name in _ALONE if name in free}
    parts.extend(Part(NOBODY, data) for data in (alone, free) if data)
    return Draft(kind=fact.KIND, at_ms=at_ms, group=code, fields=_public(fact, shape), parts=tuple(parts))


def fact_of_record(record: Record, room_of: Callable[[str], RoomId | None]) -> Fact | None:
    """Return the fact that a record was made from; None for records of events and of the log itself.

    Erased values are returned empty.
    """
    shape = _shape_of(record)
    if shape is None:
        return None
    values: dict[str, Any] = {_READ_AS.get(name, name): value for name, value in record.fields.items()}
    for part in record.parts:
        _take_part(part, shape, values)
    values["room"] = room_of(record.group) if record.group is not None else None
    return shape.cls(**values)


def _take_part(part: Mapping[str, Json], shape: _Shape, values: dict[str, Any]) -> None:
    who = part.get("as")
    if isinstance(who, str) and who in shape.people:
        values[who] = part.get("mxid", "")
        values.update({name: part[name] for name in shape.people[who] if name in part})
    else:
        values.update({name: part[name] for name in shape.unowned if name in part})


def _public(fact: Fact, shape: _Shape) -> dict[str, int | str]:
    return {
        _WRITTEN_AS.get(name, name): value
        for name in shape.public
        if (value := getattr(fact, name)) != shape.left_out.get(name)
    }


def _shape_of(record: Record) -> _Shape | None:
    for shape in _SHAPES_OF_KIND.get(record.kind, ()):
        if all(record.fields.get(name) in values for name, values in shape.marks.items()):
            return shape
    return None


def _make_shape(cls: type[Fact]) -> _Shape:
    owners = {name: owner for name, owner in owner_of(cls).items() if name != "room"}
    people = {
        who: tuple(name for name, owner in owners.items() if owner == who)
        for who, owner in owners.items()
        if owner == "person"
    }
    hints = get_type_hints(cls)
    return _Shape(
        cls=cls,
        public=tuple(name for name, owner in owners.items() if owner == "public"),
        people=people,
        unowned=tuple(name for name, owner in owners.items() if owner == "nobody"),
        left_out=_defaults(cls) if cls.LEAN else _DEFAULTS_LEFT_OUT,
        marks={
            name: get_args(hint)
            for name in (item.name for item in fields(cls))
            if get_origin(hint := hints[name]) is Literal and (name in _TELLS_APART or len(get_args(hint)) == 1)
        },
    )


def _defaults(cls: type[Fact]) -> dict[str, object]:
    return {item.name: item.default for item in fields(cls)}


_SHAPES = {cls: _make_shape(cls) for cls in FACTS}
_SHAPES_OF_KIND: dict[str, list[_Shape]] = {}
for _shape in sorted(_SHAPES.values(), key=lambda shape: -len(shape.marks)):
    _SHAPES_OF_KIND.setdefault(_shape.cls.KIND, []).append(_shape)


# Events.


# What the bot's own messages say of themselves, kept so that they are recognised after a crash.
_MARKS = {"card": PostCard.MARK, "burst": PostBurst.MARK, "question": AskDesk.MARK}


def draft_of_event(
    event: Received, code: GroupCode, person_of: PersonOf, *, content: Content = "full", bot: str = ""
) -> Draft:
    """Return the record of a received event."""
    if isinstance(event, Unreadable):
        return _unreadable(event, code, person_of, content)
    data: dict[str, Json] = {"mxid": event.sender, "ev": event.event, "ts": event.sent_ms}
    if event.type != "m.room.message":
        data["type"] = event.type
    if event.encrypted:
        data["encrypted"] = 1
    parts: list[Part] = []
    if isinstance(event, MembershipChanged) and event.user != event.sender:
        about = dict(event.content)
        if "reason" in about:
            data["reason"] = about.pop("reason")
        parts.append(Part(person_of(event.user), {"as": "target", "mxid": event.user, "content": about}))
    elif event.sender == bot and not isinstance(event, MembershipChanged | StateChanged):
        data["own"] = 1
        data |= {
            name: event.content[mark] for name, mark in _MARKS.items() if isinstance(event.content.get(mark), dict)
        }
    elif content == "full" or isinstance(event, MembershipChanged | StateChanged):
        data |= _words(event)
    if isinstance(event, MessagePosted) and "body" not in data and "content" not in data:
        data["posted"] = 1  # it is a message, though its words are not kept
    if isinstance(event, Redacted):
        data["target"] = event.target
    kind, skeleton = _kind_of(event)
    parts.insert(0, Part(person_of(event.sender), data))
    return Draft(kind=kind, at_ms=event.received_ms, group=code, fields=skeleton, parts=tuple(parts))


def seen_kind(record: Record) -> str:
    """Return the kind under which the table of events lists the event of a record."""
    return POSTED if record.parts and record.parts[0].get("posted") else record.kind


def raw_of_record(record: Record) -> dict[str, Json] | None:
    """Return the raw event that an event's record was made from, as far as it was kept; None for other records.

    A message whose content was not kept is returned without it, as a homeserver returns a redacted one. A change of
    somebody else's membership is not returned at all once the part of either person is erased.
    """
    if record.kind not in _EVENT_KINDS or not record.parts:
        return None
    part = record.parts[0]
    if not isinstance(part.get("ev"), str) or not isinstance(part.get("mxid"), str):
        return None
    raw: dict[str, Json] = {
        "event_id": part["ev"],
        "sender": part["mxid"],
        "origin_server_ts": part.get("ts", 0),
        "type": part.get("type", "m.room.message"),
        "content": _content(part),
    }
    if "key" in part:
        raw["state_key"] = part["key"]
    elif record.kind in _MEMBERSHIPS:
        target = _target(record)
        if target is None:
            return None
        reason = {"reason": part["reason"]} if "reason" in part else {}
        raw |= {"state_key": target["mxid"], "content": _content(target) | reason}
    if "target" in part:
        raw["redacts"] = part["target"]
    elif marks := {mark: part[name] for name, mark in _MARKS.items() if name in part}:
        raw["content"] = {"body": "", **marks}
    elif record.kind in ("message", "edit") and not {"body", "content"} & part.keys():
        raw["unsigned"] = {"redacted_because": {"type": "m.room.redaction"}}
    return raw


def _content(part: Mapping[str, Json]) -> dict[str, Json]:
    inner = part.get("content")
    content: dict[str, Json] = dict(inner) if isinstance(inner, dict) else {}
    if "body" in part:
        content["body"] = part["body"]
    return content


def _target(record: Record) -> Mapping[str, Json] | None:
    """Return the part of the person whose membership somebody else changed; None if it is erased."""
    return next((part for part in record.parts[1:] if part.get("as") == "target" and "mxid" in part), None)


def _words(event: Any) -> dict[str, Json]:
    rest = without_marks(event.content)
    data: dict[str, Json] = {}
    if isinstance(rest.get("body"), str):
        data["body"] = rest.pop("body")
    if rest or not data:
        data["content"] = rest
    if isinstance(event, StateChanged):
        data["key"] = event.state_key
    if isinstance(event, MembershipChanged):
        data["key"] = event.user
    return data


def _kind_of(event: Received) -> tuple[str, dict[str, int | str]]:
    match event:
        case MessagePosted() if event.replaces is not None:
            return "edit", _when(event)
        case MessagePosted(media=(Media(is_sent=True) as first, *_)):
            return "message", {"media": first.kind, **_when(event)}
        case Redacted():
            return "redact", {}
        case MembershipChanged():
            return ("join" if event.membership == "join" else "leave"), {"membership": event.membership, **_when(event)}
        case StateChanged():
            return "state", {"what": "event"}
        case Undecryptable():
            return "coverage", {"what": "undecryptable", "count": 1, "code": word(event.code)}
        case _:
            return "message", _when(event)


def _when(event: Any) -> dict[str, int | str]:
    late = {"late": event.late} if event.late >= 0 else {}
    return late | ({"heard": event.heard_ms} if event.heard_ms else {})


def word(code: str) -> str:
    """Return a code that somebody's client chose, made safe for a skeleton."""
    return "".join(c for c in code if c.isascii() and (c.isalnum() or c in "._-"))[:64] or "-"


def _unreadable(event: Unreadable, code: GroupCode, person_of: PersonOf, content: Content) -> Draft:
    data: dict[str, Json] = {"problem": event.problem}
    if event.sender:
        data["mxid"] = event.sender
    if event.event:
        data["ev"] = event.event
    if content == "full":
        data["raw"] = event.raw
    owner = person_of(event.sender) if event.sender else NOBODY
    return Draft(
        kind="coverage",
        at_ms=event.received_ms,
        group=code,
        fields={"what": "unreadable", "count": 1},
        parts=(Part(owner, data),),
    )


_MEMBERSHIPS = frozenset({"join", "leave"})
_EVENT_KINDS = _MEMBERSHIPS | {"message", "edit", "redact", "state", "coverage"}
