"""Reads what a sync response left out: pages back through `/messages` and hands it on in order.

Client-server API v1.19, sections "Syncing" (a `limited` timeline) and "GET /rooms/{roomId}/messages". Rules kept here:
events come out oldest first; paging stops at what is known; what could not be had is said (`Gap.lost`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from moderation.events import Received
from moderation.ids import EventId, RoomId

from .homeserver import Homeserver
from .receive import receive

PAGE = 100
MAX_PAGES = 500  # 50,000 events of one room


@dataclass(frozen=True, slots=True)
class Gap:
    """What was found in a gap, oldest first, and whether its beginning was reached."""

    events: tuple[Received, ...]
    closed: bool


async def since_event(homeserver: Homeserver, room: RoomId, event: EventId, now_ms: int) -> list[Received]:
    """All events after `event`, oldest first."""

    async def is_it(_events: Sequence[Received]) -> set[str]:
        return {event}

    gap = await fill(homeserver, room, None, is_it, now_ms)
    return list(gap.events)


async def fill(
    homeserver: Homeserver,
    room: RoomId,
    from_token: str | None,
    known: Callable[[Sequence[Received]], Awaitable[set[str]]],
    now_ms: int,
) -> Gap:
    """Page back from `from_token` (None: from the newest event) until an event that `known` knows."""
    newest_first: list[Received] = []
    token = from_token
    for _ in range(MAX_PAGES):
        answer = await homeserver.messages(room, from_token=token, direction="b", limit=PAGE)
        page = [receive(raw, room, now_ms) for raw in answer.get("chunk", [])]
        ids = await known(page)
        for event in page:
            if event.event in ids:
                return Gap(tuple(reversed(newest_first)), closed=True)
            newest_first.append(event)
        token = answer.get("end")
        if not token:  # the beginning of the room, or of what we may see
            return Gap(tuple(reversed(newest_first)), closed=True)
    return Gap(tuple(reversed(newest_first)), closed=False)
