"""The part of a room's timeline, as an answer of `/sync` has it, that may be kept: what stands after the room's notice.

And its order, where pages of messages have some of it and answers of `/sync` had the rest.

Left to others: what else may be missing (`sync_loop.py`), and reading it (`backfill.py`).
"""

from collections.abc import Mapping, Sequence

from bot.events.parse_fields import object_of
from bot.events.sync_response import JoinedRoom, LeftRoom
from moderation.values.events import Json, MembershipChanged, Received, StateChanged
from moderation.values.ids import EventId, UserId
from storage.state.backfill import Delivered, Told


def to_record(room: JoinedRoom | LeftRoom, notice: EventId | None) -> list[Received]:
    """Return what must be recorded of a room, oldest first. `state` is what held where the timeline begins."""
    ids = [event.event for event in room.timeline]
    if notice is not None and notice in ids:  # what stands before it was said before people were told of the recording
        return list(room.timeline[ids.index(notice) + 1 :])
    return [*(room.state if isinstance(room, JoinedRoom) else ()), *room.timeline]


def delivered(room: JoinedRoom | LeftRoom, notice: EventId | None, bot: UserId) -> Delivered:
    """Return what to keep of a room that is behind, until pages show what came before it.

    Of a timeline that begins when the bot had been removed already, only that it was removed again or let in.
    """
    kept = _after(notice, room.raw)
    if isinstance(room, JoinedRoom):
        return Delivered(told(room.state), room.raw if kept is None else kept)
    changes = [event.event for event in room.timeline if isinstance(event, MembershipChanged) and event.user == bot]
    if kept is None and changes and _before(room.raw[changes[0]]) not in ("", "join"):
        return Delivered(timeline={changes[-1]: room.raw[changes[-1]]})
    return Delivered(timeline=room.raw if kept is None else kept)


def _before(raw: Json) -> str:
    """Return the membership before a change of it; "" if the homeserver does not say."""
    before = object_of(object_of(object_of(raw).get("unsigned")).get("prev_content")).get("membership")
    return before if isinstance(before, str) else ""


def since_notice(room: JoinedRoom, notice: EventId | None) -> Delivered:
    """Return what to keep of a room that was opened after the question, until pages show what came after its notice.

    The answer may be older than the notice, so nothing is kept of one that does not have it.
    """
    return Delivered(told(room.state), _after(notice, room.raw) or {}, until=notice)


def _after(notice: EventId | None, raw: Mapping[EventId, Json]) -> dict[EventId, Json] | None:
    ids = list(raw)
    return {event: raw[event] for event in ids[ids.index(notice) + 1 :]} if notice in ids else None


def told(state: Sequence[Received]) -> list[Told]:
    """Return the state told next to the timeline, to be looked up where no page has it."""
    found = []
    for event in state:
        if isinstance(event, StateChanged):
            found.append(Told(event.event, event.type, event.state_key))
        elif isinstance(event, MembershipChanged):
            found.append(Told(event.event, event.type, event.user))
    return found


def is_create(event: Received) -> bool:
    """Tell whether this is the room's first event, before which there is nothing."""
    return isinstance(event, StateChanged) and event.type == "m.room.create"


def by_delivery(
    fresh: Sequence[Received], delivered: Sequence[EventId], missed: Mapping[EventId, Received]
) -> list[Received]:
    """Return the fresh events, and each missed one after the last of them that was delivered before it."""
    places = {event: place for place, event in enumerate(delivered)}
    left, newest_first = sorted(missed, key=places.__getitem__), list[Received]()
    for event in reversed(fresh):
        here = places.get(event.event) if event.event else None
        while left and here is not None and places[left[-1]] > here:
            newest_first.append(missed[left.pop()])
        newest_first.append(event)
    return [*(missed[each] for each in left), *reversed(newest_first)]


def with_older(told: Sequence[Received], timeline: Sequence[Received]) -> list[Received]:
    """Return the timeline, preceded by the state that was asked for before it and has no place in it."""
    there = {event.event for event in timeline}
    return [*(event for event in told if event.event not in there), *timeline]


def with_newer(told: Sequence[Received], timeline: Sequence[Received]) -> list[Received]:
    """Return the timeline and the state that was asked for after it: after it, what replaces state in it."""
    replaced = {key for event in timeline if (key := _state_key(event)) is not None}
    there = {event.event for event in timeline}
    newer = [event for event in told if event.event not in there and _state_key(event) in replaced]
    return [*with_older([event for event in told if event not in newer], timeline), *newer]


def _state_key(event: Received) -> tuple[str, str] | None:
    if isinstance(event, StateChanged):
        return event.type, event.state_key
    return (event.type, event.user) if isinstance(event, MembershipChanged) else None
