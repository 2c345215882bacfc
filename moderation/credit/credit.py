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

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
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
    charges = _lasting(charges_in(entries), now_ms, settings)
    credit, last_ms = _top(settings), now_ms
    for at_ms, cost in sorted((min(entry.at_ms, now_ms), max(0, entry.cost)) for entry in charges):
        credit = max(0, _recovered(credit, at_ms - last_ms, settings) - cost)
        last_ms = at_ms
    return _recovered(credit, now_ms - last_ms, settings)


def up_to(entries: Iterable[LedgerEntry], record: int) -> tuple[LedgerEntry, ...]:
    """Return the entries that were recorded when `record` had been written."""
    return tuple(entry for entry in entries if entry.id <= record)


def effective(entries: Iterable[LedgerEntry], now_ms: int, settings: CreditSettings) -> tuple[LedgerEntry, ...]:
    """Return the charges that count at `now_ms`, neither undone nor expired, by their records."""
    return _lasting(charges_in(entries), now_ms, settings)


def entries_in_force(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return the entries that nothing has undone, by their records.

    Read from the newest back, a compensation that was itself undone undoes nothing.
    """
    made = sorted(entries, key=lambda entry: entry.id)
    undone: set[int | None] = set()
    for entry in reversed(made):
        if entry.entry == "compensation" and entry.id not in undone:
            undone.add(entry.undoes)
    return [entry for entry in made if entry.id not in undone]


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
    return moments[bisect_left(moments, level, key=lambda at_ms: balance(charges, at_ms, settings))]


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
