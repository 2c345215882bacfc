"""A line for each message and action in a room, as one of its people reads it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.people.client import Client

Json = dict[str, Any]
_INVITES = re.compile(r"@\S+ invites @")


@dataclass
class _Read:
    room: str
    reader: Client
    seen: dict[str, str] = field(default_factory=dict)  # what each event said when it was first read


class Rooms:
    """Reads rooms under names of the story.

    Invitations come first: whether the bot makes one before it says something depends on what it read at once.
    """

    def __init__(self) -> None:
        self._rooms: dict[str, _Read] = {}
        self._words: dict[str, str] = {}  # of what people wrote, which may be removed before it is read

    def read(self, room: str, name: str, reader: Client) -> None:
        """Begin to read a room as somebody who is in it."""
        self._rooms[name] = _Read(room, reader)

    def room(self, name: str) -> str:
        """Return the id of a room."""
        return self._rooms[name].room

    def reader(self, name: str) -> Client:
        """Return the person who reads a room."""
        return self._rooms[name].reader

    async def say(self, name: str, who: Client, body: str, **more: Any) -> str:
        """Let somebody write in a room; return the event."""
        event = await who.send_text(self.room(name), body, **more)
        self._words[event] = body
        return event

    async def news(self) -> list[str]:
        """Return what is new in each room, as lines."""
        lines: list[str] = []
        for name, read in self._rooms.items():
            new = [event for event in await read.reader.messages(read.room) if event["event_id"] not in read.seen]
            told = sorted(self._without_older_edits(new, read.seen), key=lambda line: not _INVITES.match(line))
            if told:
                lines += [f"[{name}]", *told]
        return lines

    def _without_older_edits(self, events: list[Json], seen: dict[str, str]) -> Iterator[str]:
        """Yield the lines of events; of the edits of one message the last only, since some may have been merged."""
        last = {_edited(event): event["event_id"] for event in events if _edited(event)}
        for event in events:
            seen[event["event_id"]] = line = _line(event, seen, self._words)
            if line and (not (target := _edited(event)) or last[target] == event["event_id"]):
                yield line


def _edited(event: Json) -> str:
    relation = event.get("content", {}).get("m.relates_to", {})
    return str(relation.get("event_id", "")) if relation.get("rel_type") == "m.replace" else ""


def _line(event: Json, seen: dict[str, str], words: dict[str, str]) -> str:
    content, who = event.get("content", {}), event["sender"]
    match event["type"]:
        case "m.room.message" if content:
            new = content.get("m.new_content", content)
            return _indented(f"{who} edits" if _edited(event) else who, str(new.get("body", "")))
        case "m.room.message":
            return f"{who}: {words.get(event['event_id'], '')} (removed since)"
        case "m.reaction" if content:
            relation = content["m.relates_to"]
            return f"{who} reacts {relation['key']} to: {_first(seen.get(relation['event_id'], '?'))}"
        case "m.room.redaction":
            target = event.get("redacts") or content.get("redacts")
            return f"{who} removes: {_first(seen.get(target, '?'))} (reason: {content.get('reason', 'none')})"
        case "m.room.pinned_events":
            return f"{who} pins: " + "; ".join(_first(seen.get(each, "?")) for each in content.get("pinned", []))
        case "m.room.name":
            return f"{who} names the room: {content.get('name', '')}"
        case "m.room.topic":
            return f"{who} sets the topic: {content.get('topic', '')}"
        case "m.room.member" if content.get("membership") == "invite":
            return f"{who} invites {event['state_key']}"
    return ""


def _indented(who: str, body: str) -> str:
    first, *rest = body.split("\n")
    return "\n".join([f"{who}: {first}", *(f"    {line}" for line in rest)])


def _first(line: str) -> str:
    first = line.split("\n")[0]
    return first if len(first) <= 60 else f"{first[:60]}…"
