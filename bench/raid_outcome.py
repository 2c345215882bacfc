"""The outcome of a raid, read from the homeserver's timelines.

Rules kept here:
- Nothing is asked here: events, and the names of the rules that found them, go in; numbers come out.
- A message ends with its redaction; an entering with its redaction or when the person is removed.
- All times are the homeserver's own.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .figures import Figure
from .raid_kinds import ENTERING, KINDS, NAME, Raider

Event = Mapping[str, Any]
BY_HAND = "a manager"
UNKNOWN = "no rule"


@dataclass
class Outcome:
    """The outcome of one kind of spam: how much was tried, taken by the homeserver, ended, and by what."""

    tried: int = 0
    taken: int = 0
    stood: list[float] = field(default_factory=list)  # seconds, of what is gone
    by: Counter[str] = field(default_factory=Counter)
    only_found: Counter[str] = field(default_factory=Counter)  # found by a rule, and it stands

    @property
    def standing(self) -> int:
        """The number of events that can still be seen."""
        return self.taken - len(self.stood)


@dataclass(frozen=True)
class RaidedRoom:
    """All events of a room, and who is in it, as the homeserver has them now."""

    timeline: Sequence[Event]
    inside: Collection[str]


def outcomes(
    rooms: Sequence[RaidedRoom], raiders: Sequence[Raider], causes: Mapping[str, str], by_hand_ms: float
) -> dict[str, Outcome]:
    """Return what became of each kind, and of the enterings of the others.

    `causes` has the rules that found an event or removed a person. What ended after `by_hand_ms` a manager ended.
    Somebody whose entering crossed a new join rule stands in the timeline but was never in: the homeserver's state
    leaves them out.
    """
    found = {name: Outcome() for name in (*KINDS, ENTERING)}
    kinds = {raider.client.user: raider.kind for raider in raiders}
    taken = {event for raider in raiders for event in raider.taken}
    for raider in raiders:
        found[raider.kind].tried += raider.tried
        found[_entering(raider.kind)].tried += len(rooms)
    for room in rooms:
        out = _removals(room.timeline)
        for event in room.timeline:
            kind, was_in = kinds.get(event["sender"]), event["sender"] in {*out, *room.inside}
            if kind is None or not ((_enters(event) and was_in) or event["event_id"] in taken):
                continue
            outcome = found[_entering(kind) if _enters(event) else kind]
            outcome.taken += 1
            cause = causes.get(event["event_id"]) or (causes.get(event["sender"], "") if _enters(event) else "")
            _count(outcome, event, _end(event, out), cause, by_hand_ms)
    return found


def _entering(kind: str) -> str:
    return kind if kind == NAME else ENTERING


def _enters(event: Event) -> bool:
    return bool(event["type"] == "m.room.member" and event["content"].get("membership") == "join")


def _removals(timeline: Sequence[Event]) -> dict[str, Event]:
    """Return the event by which each person left, of those who are out."""
    last = {event["state_key"]: event for event in timeline if event["type"] == "m.room.member"}
    return {user: event for user, event in last.items() if event["content"].get("membership") != "join"}


def answers(event: Event) -> str:
    """Return the event that a message answers."""
    relation = event["content"].get("m.relates_to", {})
    return str(relation.get("m.in_reply_to", {}).get("event_id", ""))


def is_said(event: Event, by: str) -> bool:
    """Tell whether an event is a message by somebody."""
    return bool(event["type"] == "m.room.message" and event["sender"] == by)


def replaces(event: Event) -> bool:
    """Tell whether a message is an edit of another one."""
    return bool(event["content"].get("m.relates_to", {}).get("rel_type") == "m.replace")


def _end(event: Event, out: Mapping[str, Event]) -> Event | None:
    because = event.get("unsigned", {}).get("redacted_because")
    ends = [because, out.get(event["sender"]) if _enters(event) else None]
    return min((end for end in ends if end is not None), key=lambda end: int(end["origin_server_ts"]), default=None)


def _count(outcome: Outcome, event: Event, end: Event | None, cause: str, by_hand_ms: float) -> None:
    if end is None:
        outcome.only_found.update([cause] if cause else [])
        return
    outcome.stood.append((end["origin_server_ts"] - event["origin_server_ts"]) / 1000)
    outcome.by[BY_HAND if end["origin_server_ts"] >= by_hand_ms else cause or UNKNOWN] += 1


# In words.

HEAD = f"{'kind':<14}{'tried':>6}{'taken':>7}{'gone':>6}{'median s':>10}{'longest s':>11}   ended by; found, and stands"


def row(name: str, outcome: Outcome) -> str:
    """Return a line of the table."""
    stood = outcome.stood
    times = f"{median(stood):>10.1f}{max(stood):>11.1f}" if stood else f"{'-':>10}{'-':>11}"
    words = f"{_counted(outcome.by)}; {_counted(outcome.only_found)}".removesuffix("; ")
    return f"{name:<14}{outcome.tried:>6}{outcome.taken:>7}{len(stood):>6}{times}   {words}".rstrip()


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{who} {count}" for who, count in counter.most_common())


def figures(found: Mapping[str, Outcome], floor: float) -> Iterator[Figure]:
    """Yield how much of each kind can still be seen, and for how long the rest could.

    The floor is how long the homeserver took to answer a raider's message: it is busy, and answers the bot no sooner.
    """
    for name, outcome in found.items():
        yield Figure(f"by itself: {name}, standing", "", outcome.standing)
        if outcome.stood:
            yield Figure(f"by itself: {name}, median", "s", median(outcome.stood), "a raider's message", floor)
