"""Events refused before their delivery: as the refusing part notes them, and as records.

Rules kept here:
- A refusal is recorded as it was given, with the event as far as words are kept; it is judged by this record alone.
- In a note (`note_of`), which waits to be recorded, no words stand that are not kept.
- A note that is not one of ours is not read: the problem is said.

Left to others: refusing (`moderation/judge/beforehand.py`), what follows (`moderation/judge/withheld.py`), recording
(`withholding.py`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, get_args

from pydantic import TypeAdapter

from bot.events.parse_event import receive
from bot.events.parse_fields import name_of, time_of
from moderation.judge.beforehand import Refusal
from moderation.judge.withheld import Withholdable
from moderation.model.facts import MessageWithheld, WithheldBy
from moderation.values.errors import Invalid
from moderation.values.events import Json, OtherEvent
from moderation.values.ids import SAFE_INT, EventId, RoomId, UserId, is_event_id, is_room_id, is_user_id
from storage.journal.canonical import canonical, plain
from storage.record_mapping import Content

MESSAGE = "m.room.message"
_KEPT = ("sender", "type", "state_key", "origin_server_ts", "content")
_REFUSAL = TypeAdapter(Refusal)
_RULE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Withheld:
    """An event that was refused before its delivery.

    `event` is its id or, if it has none yet, a key that is the same when it is refused again; `raw` is as in the
    client-server API or in federation. `refused_ms`: when.
    """

    room: RoomId
    event: EventId
    raw: Mapping[str, Json] = field(repr=False)
    refusal: Refusal
    by: WithheldBy
    refused_ms: int

    @property
    def sender(self) -> str:
        """Return its sender; empty if it names none."""
        sender = self.raw.get("sender")
        return sender if isinstance(sender, str) and is_user_id(sender) else ""


def fact_of(withheld: Withheld) -> MessageWithheld:
    """Return the fact that an event was withheld, with its words."""
    raw, refusal = withheld.raw, withheld.refusal
    content, key = raw.get("content"), raw.get("state_key")
    kind = name_of(raw.get("type")) or MESSAGE
    written = _written(content if isinstance(content, dict) else {})
    kept = json.loads(written) if isinstance(content, dict) else {}
    body = kept.pop("body") if isinstance(kept.get("body"), str) and kept["body"] else ""
    hashed = raw.get("sha256")  # of a note without its words
    return MessageWithheld(
        room=withheld.room,
        by=withheld.by,
        refused=withheld.refused_ms,
        rule=refusal.rule,
        grade=refusal.grade,
        basis=refusal.basis,
        where=refusal.where,
        count=refusal.count,
        limit=refusal.limit,
        every=refusal.every,
        messages=refusal.messages,
        state=int(isinstance(key, str)),
        subject=UserId(withheld.sender),
        event=withheld.event,
        sent=str(time_of(raw.get("origin_server_ts")) or withheld.refused_ms),
        type="" if kind == MESSAGE else kind,
        key=key if isinstance(key, str) else "",
        sha256=hashed if isinstance(hashed, str) else _hash(written),
        matched=refusal.matched,
        body=body,
        content=_written(kept) if kept else "",
    )


def event_of(fact: MessageWithheld, at_ms: int) -> Withholdable:
    """Return the event that a fact is about, recorded at `at_ms`, as far as its words were kept."""
    kind, content = fact.type or MESSAGE, json.loads(fact.content) if fact.content else {}
    content |= {"body": fact.body} if fact.body else {}
    sent_ms = int(fact.sent) if fact.sent else fact.refused
    raw: dict[str, Json] = {
        "event_id": fact.event,
        "sender": fact.subject,
        "origin_server_ts": sent_ms,
        "type": kind,
        "content": content,
    }
    if fact.state:
        raw["state_key"] = fact.key
    event = receive(raw, fact.home, at_ms)
    if isinstance(event, Withholdable) and event.event == fact.event:
        return event
    return OtherEvent(  # without its words it need not be readable
        room=fact.home,
        event=fact.event,
        sender=fact.subject,
        sent_ms=sent_ms,
        received_ms=at_ms,
        type=kind,
        content=content,
    )


def refusal_of(fact: MessageWithheld) -> Refusal:
    """Return the refusal that a fact tells."""
    return Refusal(
        fact.rule, fact.grade, fact.basis, fact.where, fact.matched, fact.count, fact.limit, fact.every, fact.messages
    )


# Notes: refusals that wait to be recorded.


def note_of(withheld: Withheld, content: Content = "full") -> str:
    """Return a refusal as JSON, without the event's words unless `content` is "full"."""
    raw: dict[str, Any] = {name: withheld.raw[name] for name in _KEPT if name in withheld.raw}
    refusal = withheld.refusal
    if content != "full":
        said = raw.pop("content", {})
        raw["sha256"] = _hash(_written(said if isinstance(said, dict) else {}))
        refusal = replace(refusal, matched="")
    note = {"room": withheld.room, "event": withheld.event, "by": withheld.by, "refused_ms": withheld.refused_ms}
    return json.dumps({**note, "refusal": asdict(refusal), "raw": raw}, ensure_ascii=False)


def withheld_of(note: str) -> Withheld:
    """Return what a note tells. Raises `Invalid` if it is not one of ours."""
    try:
        read = json.loads(note)
        withheld = Withheld(
            room=RoomId(read["room"]),
            event=EventId(read["event"]),
            raw=dict(read["raw"]),
            refusal=_REFUSAL.validate_python(read["refusal"]),
            by=read["by"],
            refused_ms=read["refused_ms"],
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Invalid(f"not a note of a refusal: {type(error).__name__}") from error
    if not (is_room_id(withheld.room) and is_event_id(withheld.event) and withheld.sender):
        raise Invalid("not a note of a refusal: it names no room, event or sender")
    if withheld.by not in get_args(WithheldBy) or not _fits(withheld.refusal, withheld.refused_ms):
        raise Invalid("not a note of a refusal: a value of it fits into no record")
    return withheld


def _fits(refusal: Refusal, refused_ms: object) -> bool:
    """Tell whether what a refusal says may stand in a record."""
    numbers = (refusal.count, refusal.limit, refusal.every, refusal.messages)
    small = type(refused_ms) is int and all(0 <= each <= SAFE_INT for each in (refused_ms, *numbers))
    return small and bool(_RULE.fullmatch(refusal.rule))


def _written(content: Mapping[str, Any]) -> str:
    """Return content as JSON that is the same for the same content; what is nested too deeply becomes text."""
    return canonical(plain(dict(content), 1)).decode()


def _hash(written: str) -> str:
    return sha256(written.encode()).hexdigest()
