"""All that /sync ever told one person, in order, and waiting for more of it.

Rules kept here:
- What was seen stays, so that nothing is lost between two waits.
- An answer is taken in whole or not at all, so a wait that is cancelled loses nothing.
- A `limited` timeline is filled from /messages.
- Waiting is on a condition with a deadline. A deadline that passes tells what was awaited and what was seen last.

Left to others: the requests themselves (`client.py`).

Specification: Matrix client-server API v1.19, "Syncing".
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from tests.people.matrix_error import MatrixError

Json = dict[str, Any]
Kind = Literal["timeline", "state", "invite", "knock"]

_POLL_MS = 20_000  # how long the server may hold an empty answer back
_PAGE = "500"
_LAST_SEEN = 8
_FILTER = orjson.dumps({"presence": {"types": []}, "room": {"timeline": {"limit": 100}}}).decode()


class NotReceived(AssertionError):
    """The awaited event did not come in time. An assertion, so that a test fails by it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of one room, and the part of the answer in which it stood.

    "timeline" also holds the end of a room one left; "invite" and "knock" are stripped state.
    """

    kind: Kind
    room: str
    event: Json

    @property
    def id(self) -> str:
        """The event id; empty for stripped state."""
        return str(self.event.get("event_id", ""))

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.event.get("type", ""))

    @property
    def sender(self) -> str:
        """The user id of the sender."""
        return str(self.event.get("sender", ""))

    @property
    def state_key(self) -> str | None:
        """The state key; None if it is no state event."""
        return self.event.get("state_key")

    @property
    def content(self) -> Json:
        """The event's content."""
        content = self.event.get("content")
        return content if isinstance(content, dict) else {}

    @property
    def body(self) -> str:
        """The text of a message; empty for anything else."""
        return str(self.content.get("body", ""))

    def __str__(self) -> str:
        words = [self.kind, self.room, self.type, self.sender, self.body or str(self.content)]
        return " ".join(words)[:300]


class Feed:
    """The incremental /sync of one device. `get(*segments, query=...)` does a request."""

    def __init__(self, get: Callable[..., Awaitable[Json]]) -> None:
        self.seen: list[Seen] = []
        self._get = get
        self._since: str | None = None
        self._known: set[str] = set()  # ids of timeline events: /messages may overlap with /sync
        self._syncing = asyncio.Lock()

    async def wait_for(self, wanted: Callable[[Seen], bool], *, what: str, within_s: float, after: int = 0) -> Seen:
        """Return the first thing from position `after` on that is `wanted`, seen already or still to come."""
        try:
            async with asyncio.timeout(within_s):
                return await self.next(wanted, after)
        except TimeoutError:
            raise self.not_seen(what, within_s) from None

    async def next(self, wanted: Callable[[Seen], bool], after: int) -> Seen:
        """Do the same without a deadline."""
        while True:
            for item in self.seen[after:]:
                after += 1
                if wanted(item):
                    return item
            await self._more_than(after)

    def not_seen(self, what: str, within_s: float) -> NotReceived:
        """Return the error that says what was awaited and what was seen last."""
        last = "\n".join(f"  {item}" for item in self.seen[-_LAST_SEEN:]) or "  nothing at all"
        return NotReceived(f"waited {within_s:g} s for {what}. Last seen:\n{last}")

    async def _more_than(self, known: int) -> None:
        async with self._syncing:  # several may wait at once: one asks, all look at the answer
            if len(self.seen) <= known:
                await self._sync()

    async def _sync(self) -> None:
        query = {"timeout": str(_POLL_MS), "filter": _FILTER}
        if self._since is not None:
            query["since"] = self._since
        answer = await self._get("sync", query=query)
        new: list[Seen] = []
        for membership in ("join", "leave"):
            for room, part in _parts(answer, membership):
                new += (Seen("state", room, event) for event in part.get("state", {}).get("events", []))
                events = await self._timeline(room, part["timeline"], left=membership == "leave")
                new += [Seen("timeline", room, event) for event in events]
        for room, part in _parts(answer, "invite"):
            new += (Seen("invite", room, event) for event in part["invite_state"]["events"])
        for room, part in _parts(answer, "knock"):
            new += (Seen("knock", room, event) for event in part["knock_state"]["events"])
        # No await from here on: taken in whole, or not at all.
        self._known.update(item.id for item in new if item.kind == "timeline")
        self.seen += new
        self._since = answer["next_batch"]

    async def _timeline(self, room: str, timeline: Json, *, left: bool) -> list[Json]:
        events: list[Json] = timeline["events"]
        if timeline.get("limited"):
            try:
                events = [*await self._gap(room, timeline["prev_batch"]), *events]
            except MatrixError as error:
                # A person who left and is invited again gets nothing from before.
                if not left or error.status != 403:
                    raise
        return [event for event in events if event["event_id"] not in self._known]

    async def _gap(self, room: str, before: str) -> list[Json]:
        """Return what lies between the last answer and the token `before`, oldest first."""
        found: list[Json] = []
        token: str | None = before
        while token is not None:
            query = {"dir": "b", "from": token, "limit": _PAGE}
            if self._since is not None:
                query["to"] = self._since
            page = await self._get("rooms", room, "messages", query=query)
            found += page["chunk"]
            token = page.get("end")
        return list(reversed(found))


def _parts(answer: Json, membership: str) -> Iterator[tuple[str, Json]]:
    yield from answer.get("rooms", {}).get(membership, {}).items()
