"""Corrections of balances that an entry gave wrongly, because entries of the same moment did not see each other.

Earlier versions left entries dated after the moment of reckoning out of a balance, though they were recorded before: of
many charges made in one look, each was reckoned as if it were the only one.

Rules kept here:
- A figure is called wrong only if that rule, and nothing else, explains it.
- A figure with another cause (other settings, missing entries, accounts linked later) is left as it is.

Pure. Left to others: reading what was told (`bot/scheduler/balances.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from moderation.model.facts import BalanceCorrected, Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import CreditSettings, Policy
from moderation.values.durations import HOUR_MS
from moderation.values.ids import UserId

from .credit import balance, up_to
from .ledger import settings_of

_ONE_LOOK_MS = HOUR_MS  # how far apart entries of one look can be


@dataclass(frozen=True, slots=True)
class LedgerLines:
    """The entries of one person in one ledger; if credit is kept by rooms, those of a single room."""

    user: UserId
    ledger: Ledger
    entries: tuple[LedgerEntry, ...]  # by their records


def doubtful(lines: LedgerLines) -> tuple[LedgerEntry, ...]:
    """Return the entries that were recorded so soon after another one that they may have missed it."""
    return tuple(
        entry
        for before, entry in zip(lines.entries, lines.entries[1:], strict=False)
        if entry.at_ms - before.at_ms <= _ONE_LOOK_MS
    )


def corrections(every: Sequence[LedgerLines], told: Mapping[int, int], policy: Policy) -> tuple[BalanceCorrected, ...]:
    """Return the corrections of the balances that were `told` (record of the entry -> balance), by record."""
    found = [
        BalanceCorrected(
            room=entry.room,
            start=entry.id,
            ledger=lines.ledger,
            told=told[entry.id],
            left=left,
            n=entry.case or 0,
            subject=lines.user,
        )
        for lines in every
        for entry in doubtful(lines)
        if entry.id in told
        and not any(each.reach for each in lines.entries)  # of a version without this error
        and (left := _true(lines.entries, entry, told[entry.id], settings_of(lines.ledger, policy))) is not None
    ]
    return tuple(sorted(found, key=lambda fact: fact.start))


def _true(entries: Sequence[LedgerEntry], entry: LedgerEntry, told: int, settings: CreditSettings) -> int | None:
    """Return the true balance with `entry` if another was told by the old rule; None if the figure may be right."""
    known = up_to(entries, entry.id)
    true = balance(known, entry.at_ms, settings)
    if told == true or told not in _by_the_old_rule(known, entry, settings):
        return None
    return true


def _by_the_old_rule(known: Sequence[LedgerEntry], entry: LedgerEntry, settings: CreditSettings) -> Iterator[int]:
    """Yield what the balance with `entry` was, for each moment at which the look may have begun."""
    before = known[:-1]
    for missed in before:
        began = missed.at_ms - 1
        if 0 <= entry.at_ms - began <= _ONE_LOOK_MS:
            seen = [each for each in before if each.at_ms <= began]
            yield balance([*seen, replace(entry, at_ms=began)], began, settings)
