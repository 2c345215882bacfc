"""Credit: an append-only list of entries, and the balance as a fold over them. docs/model.md, "Credit".

The model. Everybody starts at `start`. A charge takes its cost away, never below 0. After `quiet_before_recovery`
without a charge, one point comes back every `recover_every`, never above where one started: there are no bonus points.
An entry has no effect from `expires_after` on, and a compensating entry takes the effect of another: in both cases the
balance is what it would be had the entry never been made.

Rules kept here:
- A pure function of entries, date and settings; the order in which entries are given does not matter.
- 0 <= balance <= ceiling.
- One charge more never gives more credit, now or later: a charge lowers the balance and cuts one quiet time into two,
  and two parts of a gap bring back no more points than the whole. So neither an expiry nor a compensation can lower
  anybody's credit, and without new charges credit never falls.
- Every recorded entry counts, whatever its date: a clock that was set back, or one look at many cases, may date an
  entry after `now_ms`, and such an entry counts as made at `now_ms`. A past balance is asked for by the record up to
  which entries count (`up_to`), and which entry undoes which follows from the order of records.

The same functions serve the managers' ledger ("standing"). One call concerns one ledger of one person: the caller picks
the entries that count there (`ledger.py`). Left to others: when to charge (`moderation/judge/judge.py`), consequences
of a tier (`moderation/rooms/align_people.py`), storing (`storage/`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import CreditSettings, Grade, TierSettings

Tier = Literal["A", "B", "C", "D", "E"]


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a violation, and how many times the rule has now been broken within the repeat time."""

    entry: Literal["warning", "charge"]
    cost: int
    nth: int


def balance(entries: Iterable[LedgerEntry], now_ms: int, settings: CreditSettings) -> int:
    """Return the credit at `now_ms` with all of `entries`."""
    entries = tuple(entries)
    if not entries:  # as for nearly everybody: this is asked for every message
        return _top(settings)
    return _left(charges_in(entries), now_ms, settings)


def _left(charges: tuple[LedgerEntry, ...], now_ms: int, settings: CreditSettings) -> int:
    """Return the credit at `now_ms` with charges that nothing has undone."""
    lasting = _lasting(charges, now_ms, settings)
    costs = sorted((min(entry.at_ms, now_ms), max(0, entry.cost)) for entry in lasting)
    credit, last_ms = _charged(_top(settings), now_ms, costs, settings)
    return _recovered(credit, now_ms - last_ms, settings)


def course(
    entries: Iterable[LedgerEntry], since_ms: int, until_ms: int, settings: CreditSettings
) -> list[tuple[int, int]]:
    """Return each moment from `since_ms` to `until_ms` at which the credit changes, with the credit from then on.

    The first is `since_ms`. The credit at a moment is the balance with the entries made by then, so a charge that was
    undone counts until it was. For the time to come, nothing more is charged.
    """
    made = sorted(entries, key=lambda entry: (entry.at_ms, entry.id))
    dates = [entry.at_ms for entry in made]
    ends = [entry.at_ms + settings.expires_after for entry in made if entry.entry == "charge"]
    turns = sorted({at_ms for at_ms in (*dates, *ends) if since_ms < at_ms <= until_ms})
    steps: list[tuple[int, int]] = []
    charges: tuple[LedgerEntry, ...] = ()
    costs: list[tuple[int, int]] = []
    known, credit, last_ms = 0, _top(settings), since_ms
    for begin_ms, end_ms in pairwise((since_ms, *turns, until_ms + 1)):
        counted = costs
        if (count := bisect_right(dates, begin_ms)) > known:
            charges, known = charges_in(made[:count]), count
        costs = sorted((entry.at_ms, max(0, entry.cost)) for entry in _lasting(charges, begin_ms, settings))
        if costs[: len(counted)] != counted:  # some ended, so all of them are counted again
            counted, credit, last_ms = [], _top(settings), begin_ms
        credit, last_ms = _charged(credit, last_ms, costs[len(counted) :], settings)
        for step in _recovering(credit, last_ms, begin_ms, end_ms, settings):
            if not steps or step[1] != steps[-1][1]:
                steps.append(step)
    return steps


def up_to(entries: Iterable[LedgerEntry], record: int) -> tuple[LedgerEntry, ...]:
    """Return the entries that were recorded when `record` had been written."""
    return tuple(entry for entry in entries if entry.id <= record)


def effective(entries: Iterable[LedgerEntry], now_ms: int, settings: CreditSettings) -> tuple[LedgerEntry, ...]:
    """Return the charges that count at `now_ms`, neither undone nor expired, by their records."""
    return _lasting(charges_in(entries), now_ms, settings)


def entries_in_force(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return the entries that nothing has undone, by their records.

    A compensation that was itself undone undoes nothing. It need not be recorded after what it undoes: the two may have
    been learnt from another shard.
    """
    made = sorted(entries, key=lambda entry: entry.id)
    compensations: dict[int | None, LedgerEntry] = {entry.id: entry for entry in made if entry.entry == "compensation"}
    undone: set[int | None] = set()
    for entry in sorted(compensations.values(), key=lambda each: _depth(each, compensations), reverse=True):
        if entry.id not in undone:
            undone.add(entry.undoes)
    return [entry for entry in made if entry.id not in undone]


def _depth(entry: LedgerEntry, compensations: Mapping[int | None, LedgerEntry]) -> int:
    """Return over how many compensations an entry leads to what it undoes."""
    depth, below = 0, compensations.get(entry.undoes)
    while below is not None and depth < len(compensations):  # a circle can only be forged, and ends nowhere
        depth, below = depth + 1, compensations.get(below.undoes)
    return depth


def price(entries: Iterable[LedgerEntry], *, rule: str, grade: Grade, now_ms: int, settings: CreditSettings) -> Price:
    """Return the price of breaking `rule` at `now_ms`, after the entries in `entries`.

    Warnings count as the first time. A fraction of a point is rounded up. Costs of the same rule within
    `incident_window` are deducted from `incident_limit`, so a burst of messages costs no more than that.
    """
    earlier = _earlier(entries, rule, now_ms, settings)
    nth = len(earlier) + 1
    if nth == 1 and grade == "minor" and settings.first_minor_is_warning:
        return Price("warning", 0, nth)
    full = -(-settings.costs.of(grade) * _percent(nth, settings) // 100)
    spent = sum(entry.cost for entry in earlier if now_ms - entry.at_ms < settings.incident_window)
    return Price("charge", max(0, min(full, settings.incident_limit - spent)), nth)


def tier(credit: int, tiers: TierSettings) -> Tier:
    """Return the tier of a balance; each bound belongs to the tier above it."""
    bounds: tuple[tuple[int, Tier], ...] = ((tiers.a, "A"), (tiers.b, "B"), (tiers.c, "C"), (tiers.d, "D"))
    return next((name for bound, name in bounds if credit >= bound), "E")


def reaches(entries: Iterable[LedgerEntry], level: int, now_ms: int, settings: CreditSettings) -> int | None:
    """Return the first moment from `now_ms` on with a balance of at least `level`, if nothing more is charged.

    Returns None if that can never be. Exact to the millisecond: without new charges credit never falls, so a binary
    search finds the moment; once the last charge has expired, all points are back.
    """
    if level > _top(settings):
        return None
    charges = charges_in(entries)
    latest = max((max(entry.at_ms, now_ms) for entry in charges), default=now_ms) + settings.expires_after
    moments = range(now_ms, latest + 1)
    return moments[bisect_left(moments, level, key=lambda at_ms: _left(charges, at_ms, settings))]


def charges_in(entries: Iterable[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """Return the charges that nothing has undone, by their records."""
    return tuple(entry for entry in entries_in_force(entries) if entry.entry == "charge")


def _lasting(charges: tuple[LedgerEntry, ...], now_ms: int, settings: CreditSettings) -> tuple[LedgerEntry, ...]:
    return tuple(entry for entry in charges if now_ms - entry.at_ms < settings.expires_after)


def _top(settings: CreditSettings) -> int:
    # Recovery up to a ceiling above `start` would leave a charged person better off than one never charged.
    return max(0, min(settings.start, settings.ceiling))


def _recovered(credit: int, since_ms: int, settings: CreditSettings) -> int:
    """Return `credit` after `since_ms` milliseconds without a charge."""
    points = max(0, since_ms - settings.quiet_before_recovery) // settings.recover_every
    return min(_top(settings), credit + points)


def _charged(credit: int, last_ms: int, costs: Iterable[tuple[int, int]], settings: CreditSettings) -> tuple[int, int]:
    """Return the credit after charges, given as date and cost, and when the last was."""
    top, quiet, every = _top(settings), settings.quiet_before_recovery, settings.recover_every
    for at_ms, cost in costs:
        gap = at_ms - last_ms - quiet
        credit = max(0, min(top, credit + gap // every if gap > 0 else credit) - cost)
        last_ms = at_ms
    return credit, last_ms


def _recovering(
    credit: int, last_ms: int, begin_ms: int, end_ms: int, settings: CreditSettings
) -> Iterator[tuple[int, int]]:
    """Yield the credit at `begin_ms`, and each point that comes back before `end_ms`."""
    points = _recovered(credit, begin_ms - last_ms, settings)
    yield begin_ms, points
    for back in range(points + 1, _top(settings) + 1):
        at_ms = last_ms + settings.quiet_before_recovery + (back - credit) * settings.recover_every
        if at_ms >= end_ms:
            return
        yield at_ms, back


def _earlier(entries: Iterable[LedgerEntry], rule: str, now_ms: int, settings: CreditSettings) -> list[LedgerEntry]:
    """Return the violations of `rule` that make the next one a repetition."""
    within = min(settings.repeat_within, settings.expires_after)
    return [
        entry
        for entry in entries_in_force(entries)
        if entry.entry != "compensation" and entry.rule == rule and now_ms - entry.at_ms < within
    ]


def _percent(nth: int, settings: CreditSettings) -> int:
    if nth == 1:
        return 100
    return settings.second_percent if nth == 2 else settings.further_percent
