"""One person's credit or standing as plain values: the same for the terminal and the web console."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from moderation.model.context import InForce, PersonView
from moderation.model.facts import Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.model.reach import Place, Spot
from moderation.policy import Policy

from .credit import effective, reaches, tier
from .ledger import account


def overview(view: PersonView, ledger: Ledger, policy: Policy, now_ms: int) -> dict[str, Any]:
    """Return all of a person: what counts everywhere, and the balances of communities that decided something more."""
    entries = view.entries if ledger == "credit" else view.standing
    elsewhere = [
        {"community": name, "credit": there, "tier": tier(there, policy.tiers)}
        for name, there in _elsewhere(view, ledger, policy, now_ms)
    ]
    found = overview_in(view, ledger, None, policy, now_ms, entries, view.in_force)
    return {**found, "person": view.person, "communities": elsewhere}


def overview_in(
    view: PersonView,
    ledger: Ledger,
    place: Place | None,
    policy: Policy,
    now_ms: int,
    entries: Sequence[LedgerEntry],
    in_force: Iterable[InForce],
) -> dict[str, Any]:
    """Return what counts in one place (None: everywhere), with these entries and measures."""
    own = account(view, ledger, place, policy)
    credit = own.balance(now_ms)
    back = reaches(own.entries, policy.tiers.a, now_ms, own.settings)
    counting = {entry.id for entry in effective(entries, now_ms, own.settings)}
    return {
        "user": view.user,
        "credit": credit,
        "tier": tier(credit, policy.tiers),
        "back_in_a": back if back is not None and back > now_ms else None,
        "in_force": [_measure(each) for each in in_force],
        "entries": [_entry(each, counts=each.id in counting) for each in entries],
    }


def _elsewhere(view: PersonView, ledger: Ledger, policy: Policy, now_ms: int) -> Iterator[tuple[str, int]]:
    """Yield the balances in communities whose people decided something; they include what counts everywhere."""
    entries = view.entries if ledger == "credit" else view.standing
    places = {each.reach: Spot(each.room, each.reach) for each in entries if each.reach and each.room}
    for name, place in places.items():
        yield name, account(view, ledger, place, policy).balance(now_ms)


def _measure(held: InForce) -> dict[str, Any]:
    return {
        "kind": held.kind,
        "room": held.room,
        "community": held.reach or None,
        "until": held.until,
        "basis": held.basis,
        "case": held.n or None,
    }


def _entry(entry: LedgerEntry, *, counts: bool) -> dict[str, Any]:
    return {
        "record": entry.id,
        "at": entry.at_ms,
        "entry": entry.entry,
        "cost": entry.cost,
        "rule": entry.rule,
        "class": entry.grade,
        "case": entry.case,
        "counts": counts,
        "community": entry.reach or None,
    }
