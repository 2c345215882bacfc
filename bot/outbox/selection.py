"""The choice of the rows of the outbox to send next, from the rows, what is under way, what was sent before, the time.

Rules kept here:
- Rooms take turns, among urgent requests and in each kind of the rest, so that no flood in one room delays another.
- In a room, the people who flood it are stopped before what they wrote is removed: mutes, bans and demotions go first,
  then redactions, the newest first. Those of a wave of whom nothing stands can wait (`Kick.silent`).
- Kicks take half of the places at most (`KICKS_AT_ONCE`), unless the homeserver accepts few requests: it changes the
  memberships of a room one after the other, so in a raid a kick waits there behind all who come in.
- No flood keeps the rest away: once something has waited for `PATIENCE_MS` (improvements of a card: `ADORNS_MS`), every
  fifth request is not urgent. Cards, answers, messages and the rest take turns in it, so that none crowds out another.
- Otherwise, what is not urgent waits until nothing urgent was sent for a moment (`CALM_MS`), since redactions in a
  flood come one after the other and a homeserver does one thing at a time.
- Where the homeserver is known to accept few requests, only that fifth one takes them while somebody is being stopped.
  Cards wait for no calm: after each urgent request one may go, so that people can act while the long rest is removed.
- After a refusal for sending too much, one request goes at a time, and one more at once with each that is accepted, so
  that the most important one goes first.
- Actions of one queue go one at a time, in order.
- Requests that others than the homeserver can hold up (`APART`) wait for nothing here and keep nothing waiting. Those
  tried least often go first, so that servers that never answer do not keep the others waiting.

Left to others: reading the rows (`storage/outbox.py`), sending them (`dispatcher.py`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from moderation.model.actions.base import CARD, DECLINES, ENTRIES, FILES, LABELS, OUTSIDE, PROOF, STOP, URGENT
from moderation.model.actions.removal import Kick
from storage.outbox import OutboxRow

AT_ONCE = 4
KICKS_AT_ONCE = 2
OTHERS_AT_ONCE = 3
URGENT_IN_A_ROW = 4  # then one that is not urgent
PATIENCE_MS = 10_000
ADORNS_MS = 60_000  # the same for improvements of a card that is posted: edits, the reactions under it
ADORNS_SLOW_MS = 600_000  # the same where few requests are accepted
CALM_MS = 100
CROWDED_MS = 1_000  # after a full answer of `/sync` the next one has been taken by then
SLOW_MS = 600_000  # after a refusal the homeserver counts as slow for this long
ALWAYS = 2**62
APART: Mapping[int, int] = {OUTSIDE: 1, PROOF: 8, FILES: 4, LABELS: 2, ENTRIES: 8, DECLINES: 4}  # how many at once


@dataclass(frozen=True, slots=True)
class Past:
    """The history of requests that decides the next one."""

    count: int = 0
    urgent_in_a_row: int = 0
    urgent_since_rest: int = 0  # the same, cards not counted as an end
    served: Mapping[int, int] = field(default_factory=dict)  # priority -> the count at which it last went
    requests: int = 0
    turns: Mapping[tuple[str, int], int] = field(default_factory=dict)  # room and kind -> number of the last request
    at_once: int = AT_ONCE
    limited_until: int = 0  # the homeserver accepts nothing before this time (ms)
    slow_until: int = 0  # the homeserver accepts few requests, as far as is known until this time (ms)
    calm_at: int = 0  # nothing urgent is expected from this time (ms) on

    def taken(self, row: OutboxRow, now: int) -> "Past":
        """Return the history after the homeserver has accepted a row."""
        if row.priority in APART:
            return self
        more = replace(self._after(row), at_once=min(self.at_once + 1, AT_ONCE))
        return replace(more, calm_at=max(self.calm_at, now + CALM_MS)) if row.priority <= URGENT else more

    def limited(self, until: int) -> "Past":
        """Return the history after the homeserver has refused to take anything before `until`."""
        slow = max(self.slow_until, until + SLOW_MS)
        return replace(self, at_once=1, limited_until=max(self.limited_until, until), slow_until=slow)

    def crowded(self, now: int) -> "Past":
        """Return the history while many events come in that are still to be judged."""
        return replace(self, calm_at=max(self.calm_at, now + CROWDED_MS))

    def turn_of(self, row: OutboxRow) -> int:
        """Return the sort key of a row's room: the room whose last request of this kind is the oldest comes first."""
        return self.turns.get(_turn(row), 0)

    def _after(self, row: OutboxRow) -> "Past":
        number = self.requests + 1
        past = replace(self, requests=number, turns={**self.turns, _turn(row): number})
        if row.priority <= URGENT:
            since = self.urgent_since_rest + 1
            return replace(past, urgent_in_a_row=self.urgent_in_a_row + 1, urgent_since_rest=since)
        served = {**self.served, row.priority: self.count + 1}
        since = self.urgent_since_rest if row.priority == CARD else 0
        return replace(past, count=self.count + 1, urgent_in_a_row=0, urgent_since_rest=since, served=served)


def _turn(row: OutboxRow) -> tuple[str, int]:
    """Return the room and the kind in which it takes turns: urgent requests are one kind."""
    return row.action.room, max(row.priority, URGENT)


def choose(
    rows: Sequence[OutboxRow], sending: Sequence[OutboxRow], busy: Collection[str | None], past: Past, now: int
) -> list[OutboxRow]:
    """Return the rows to begin now, in order.

    `sending` are those that are not answered yet, in the order in which they were begun; `busy` are the queues in which
    a row is not done yet.
    """
    chosen = list(_apart(rows, sending, busy))
    taken = {*busy, *(row.action.queue for row in chosen)} - {None}
    if now < past.limited_until:
        return chosen
    here = [row for row in sending if row.priority not in APART]
    left = [row for row in rows if row.priority not in APART]
    for begun in here:
        past = past._after(begun)
    while len(here) < past.at_once and (row := _next(left, here, taken, past, now)) is not None:
        here.append(row)
        chosen.append(row)
        left.remove(row)
        past = past._after(row)
        if row.action.queue is not None:
            taken.add(row.action.queue)
    return chosen


def look_again(rows: Sequence[OutboxRow], past: Past, now: int) -> int | None:
    """Return when `choose` may choose differently from these rows if only time passes; None if never."""
    here = [row for row in rows if row.priority not in APART]
    if not here:
        return None
    if now < past.limited_until:
        return past.limited_until
    others = [row for row in here if row.priority > URGENT]
    times = [past.calm_at, past.slow_until, *(row.queued + _patience(row, past, now) for row in others)]
    return min((time for time in times if time > now), default=None)


def _next(
    left: Sequence[OutboxRow], here: Sequence[OutboxRow], busy: Collection[str | None], past: Past, now: int
) -> OutboxRow | None:
    free = list(_free(left, busy))
    slow = now < past.slow_until
    stopping = slow and any(row.priority == STOP for row in here)
    can_kick = slow or sum(isinstance(row.action, Kick) for row in here) < KICKS_AT_ONCE
    most = STOP if stopping else URGENT
    urgent = min(
        (row for row in free if row.priority <= most and (can_kick or not isinstance(row.action, Kick))),
        key=lambda row: (past.turn_of(row), *_urgency(row)),
        default=None,
    )
    waits = stopping and past.urgent_in_a_row < URGENT_IN_A_ROW
    other = None if waits else _other(left, free, here, past, now)
    if urgent is not None and urgent.priority > STOP and past.urgent_in_a_row and now < past.slow_until:
        return (other if past.urgent_since_rest >= URGENT_IN_A_ROW else None) or _card(free, past) or urgent
    if other is None or (urgent is not None and past.urgent_in_a_row < URGENT_IN_A_ROW):
        return urgent
    return other


def _card(free: Sequence[OutboxRow], past: Past) -> OutboxRow | None:
    """Return the next card, or message to managers."""
    cards = (row for row in free if row.priority == CARD)
    return min(cards, key=lambda row: (past.turn_of(row), row.id), default=None)


def _other(
    left: Sequence[OutboxRow], free: Sequence[OutboxRow], here: Sequence[OutboxRow], past: Past, now: int
) -> OutboxRow | None:
    """Return the next row that is not urgent, if any may go: of the kind that was sent the longest time ago."""
    if sum(row.priority > URGENT for row in here) >= OTHERS_AT_ONCE:
        return None
    held = now < past.calm_at or any(row.priority <= URGENT for row in (*left, *here))
    others = [
        row for row in free if row.priority > URGENT and (not held or now - row.queued >= _patience(row, past, now))
    ]
    return min(
        others,
        key=lambda row: (past.served.get(row.priority, 0), row.priority, past.turn_of(row), row.id),
        default=None,
    )


def _patience(row: OutboxRow, past: Past, now: int) -> int:
    if not row.action.ADORNS:
        return PATIENCE_MS
    return ADORNS_SLOW_MS if now < past.slow_until else ADORNS_MS


def _urgency(row: OutboxRow) -> tuple[int, int]:
    """Return the sort key: actions that stop a flood in order, then redactions, newest first."""
    return row.priority, -row.id if row.priority == URGENT else row.id


def _free(rows: Sequence[OutboxRow], busy: Collection[str | None], *, across: bool = False) -> Iterator[OutboxRow]:
    """Yield the first row of each priority of each queue that is not busy, and all rows without a queue.

    `across`: only the first row of each queue, whatever its priority.
    """
    seen: set[tuple[str, int]] = set()
    for row in sorted(rows, key=lambda row: row.id):
        queue = row.action.queue
        if queue is None:
            yield row
        elif queue not in busy and (queue, kind := 0 if across else row.priority) not in seen:
            seen.add((queue, kind))
            yield row


def _apart(
    rows: Sequence[OutboxRow], sending: Sequence[OutboxRow], busy: Collection[str | None]
) -> Iterator[OutboxRow]:
    for priority, most in APART.items():
        under_way = sum(row.priority == priority for row in sending)
        free = [row for row in _free(rows, busy, across=True) if row.priority == priority]
        yield from sorted(free, key=lambda row: row.attempts)[: max(most - under_way, 0)]
