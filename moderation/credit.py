"""Credit: an append-only list of entries, and the balance as a fold over them. docs/model.md, "Credit".

The model. Everybody starts at `start`. A charge takes its cost away, never below 0. After
`quiet_before_recovery` without a charge, one point comes back every `recover_every`, never above where one
started: there are no bonus points. An entry has no effect from `expires_after` on, and a compensating entry
takes the effect of another: in both cases the balance is what it would be had the entry never been made.

Rules this module keeps:
- a pure function of entries, date and settings; the order in which entries are given does not matter;
- 0 <= balance <= ceiling;
- one charge more never gives more credit, now or later: a charge lowers what is there and cuts one quiet time
  into two, and two parts of a gap bring back no more points than the whole. So neither an expiry nor a
  compensation can lower anybody's credit, and without new charges credit never falls;
- entries dated after `now_ms` do not exist yet, so a past balance can be computed again.

The same functions serve the managers' ledger ("standing"). One call concerns one ledger of one person: the
caller picks the entries (`scope = "room"`: those of the room).
Left to others: when to charge (`judge.py`), what a tier brings (`sanctions.py`), storing (`storage/`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .ids import PersonId, RoomId
from .policy import CreditSettings, Grade, TierSettings

EntryKind = Literal["charge", "warning", "compensation"]
Tier = Literal["A", "B", "C", "D", "E"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a ledger. Never changed: what was wrong is undone by another line."""

    id: int  # in the order of writing
    person: PersonId
    at_ms: int
    entry: EntryKind
    cost: int  # points taken; 0 for warnings and compensations
    grade: Grade | None  # None where classes of violation do not apply, as in the managers' ledger
    rule: str
    case: int | None
    room: RoomId | None
    undoes: int | None = None  # a compensation: the id of the entry that is to have no effect


@dataclass(frozen=True, slots=True)
class Price:
    """What a violation costs, and how many times the rule has now been broken within the repeat time."""

    entry: Literal["warning", "charge"]
    cost: int
    nth: int


def balance(entries: Iterable[Entry], now_ms: int, settings: CreditSettings) -> int:
    """The credit at `now_ms`."""
    entries = tuple(entries)
    if not entries:  # as with nearly everybody: this is asked of every message
        return _top(settings)
    charges = effective(entries, now_ms, settings)
    credit = _after_last(charges, settings)
    if not charges:
        return credit
    return _recovered(credit, now_ms - charges[-1].at_ms, settings)


def effective(entries: Iterable[Entry], now_ms: int, settings: CreditSettings) -> tuple[Entry, ...]:
    """The charges that count at `now_ms`, oldest first: neither undone nor expired."""
    charges = tuple(entry for entry in standing(entries, now_ms) if entry.entry == "charge")
    return _lasting(charges, now_ms, settings)


def standing(entries: Iterable[Entry], now_ms: int) -> list[Entry]:
    """The entries made by `now_ms` that nothing has undone, oldest first.

    Read from the newest back, a compensation that was itself undone undoes nothing.
    """
    made = sorted((entry for entry in entries if entry.at_ms <= now_ms), key=lambda made: (made.at_ms, made.id))
    undone: set[int | None] = set()
    for entry in reversed(made):
        if entry.entry == "compensation" and entry.id not in undone:
            undone.add(entry.undoes)
    return [entry for entry in made if entry.id not in undone]


def price(entries: Iterable[Entry], *, rule: str, grade: Grade, now_ms: int, settings: CreditSettings) -> Price:
    """What breaking `rule` costs at `now_ms`, after all that is in `entries`.

    Warnings count as the first time. A fraction of a point is rounded up. What the same rule has cost within
    `incident_window` already is set against `incident_limit`, so a burst of messages costs no more than that.
    """
    earlier = _earlier(entries, rule, now_ms, settings)
    nth = len(earlier) + 1
    if nth == 1 and grade == "minor" and settings.first_minor_is_warning:
        return Price("warning", 0, nth)
    full = -(-settings.costs.of(grade) * _percent(nth, settings) // 100)
    spent = sum(entry.cost for entry in earlier if now_ms - entry.at_ms < settings.incident_window)
    return Price("charge", max(0, min(full, settings.incident_limit - spent)), nth)


def tier(credit: int, tiers: TierSettings) -> Tier:
    """The tier of a balance; each bound belongs to the tier above it."""
    bounds: tuple[tuple[int, Tier], ...] = ((tiers.a, "A"), (tiers.b, "B"), (tiers.c, "C"), (tiers.d, "D"))
    return next((name for bound, name in bounds if credit >= bound), "E")


def reaches(entries: Iterable[Entry], level: int, now_ms: int, settings: CreditSettings) -> int | None:
    """The first moment from `now_ms` on with a balance of at least `level`, if nothing more is charged.

    `None` if that can never be. Exact to the millisecond: the balance changes by recovery and by expiry; from
    each expiry on, what is left recovers by itself, and later expiries can only make it sooner. So the answer
    is the earliest of these moments.
    """
    if level > _top(settings):
        return None
    charges = effective(entries, now_ms, settings)
    expiries = {entry.at_ms + settings.expires_after for entry in charges}
    moments = [now_ms, *expiries]
    return min(_recovered_at(_lasting(charges, at, settings), level, settings, at) for at in moments)


def _lasting(charges: tuple[Entry, ...], now_ms: int, settings: CreditSettings) -> tuple[Entry, ...]:
    return tuple(entry for entry in charges if now_ms - entry.at_ms < settings.expires_after)


def _top(settings: CreditSettings) -> int:
    # Recovery up to a ceiling above `start` would leave a charged person better off than one never charged.
    return max(0, min(settings.start, settings.ceiling))


def _after_last(charges: tuple[Entry, ...], settings: CreditSettings) -> int:
    """The credit just after the last of `charges`."""
    credit = _top(settings)
    last_ms: int | None = None
    for entry in charges:
        if last_ms is not None:
            credit = _recovered(credit, entry.at_ms - last_ms, settings)
        credit = max(0, credit - max(0, entry.cost))
        last_ms = entry.at_ms
    return credit


def _recovered(credit: int, since_ms: int, settings: CreditSettings) -> int:
    """`credit` after `since_ms` without a charge."""
    points = max(0, since_ms - settings.quiet_before_recovery) // settings.recover_every
    return min(_top(settings), credit + points)


def _recovered_at(charges: tuple[Entry, ...], level: int, settings: CreditSettings, from_ms: int) -> int:
    """The first moment from `from_ms` on when recovery alone has brought `level`, which is within reach."""
    missing = level - _after_last(charges, settings)
    if missing <= 0:
        return from_ms
    there_ms = charges[-1].at_ms + settings.quiet_before_recovery + missing * settings.recover_every
    return max(from_ms, there_ms)


def _earlier(entries: Iterable[Entry], rule: str, now_ms: int, settings: CreditSettings) -> list[Entry]:
    """The violations of `rule` that make the next one a repetition."""
    within = min(settings.repeat_within, settings.expires_after)
    return [
        entry
        for entry in standing(entries, now_ms)
        if entry.entry != "compensation" and entry.rule == rule and now_ms - entry.at_ms < within
    ]


def _percent(nth: int, settings: CreditSettings) -> int:
    if nth == 1:
        return 100
    return settings.second_percent if nth == 2 else settings.further_percent
