"""Applies facts that a shard learnt from the log of another.

Rules kept here:
- A learnt fact is applied as the fact that was recorded there, without the parts that mean something only there.
- Order does not matter: a fact that changes a record waits until that record is learnt (`waits_for_other`). A record
  that is learnt twice counts once.
- Nothing is priced again: an entry keeps the cost that it got where it was made, even if two shards each priced the
  first of two repetitions within the delay as a first time.

Left to others: which own records stand for those of other logs (`storage/projections/shards.py`), what follows from a
balance (`moderation/credit/tiers.py`).
"""

from typing import cast

from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    Basis,
    CreditChanged,
    Fact,
    Learnt,
    ListSpared,
    PersonVerified,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    WhyEnded,
)
from moderation.values.levels import Method


def waits_for_other(learnt: Learnt) -> bool:
    """Tell whether a fact can be applied only once the record that it changes is learnt."""
    return learnt.refers >= 0


def applied(learnt: Learnt, changed: int = -1) -> Fact | None:
    """Return the fact as which a learnt one is applied; None if it changes no table.

    `changed` is the index in this log of the record that stands for the one that the fact changes.
    """
    who = learnt.subject
    match learnt.what:
        case "entry" if learnt.entry != "-":
            return CreditChanged(
                entry=learnt.entry,
                cost=learnt.cost,
                grade=learnt.grade,
                rule=learnt.rule,
                ledger=learnt.ledger,
                undoes=changed,
                left=0,
                subject=who,
            )
        case "verified":
            method = cast(Method, learnt.method)
            return PersonVerified(method=method, level=learnt.level, until=learnt.until, subject=who)
        case "revoked":
            method = cast(Method, learnt.method)
            return PersonVerified(step="revoked", method=method, level=0, until=0, undoes=changed, subject=who)
        case "linked":
            return AccountsLinked(
                method="oidc" if learnt.method == "oidc" else "confirmed", subject=who, target=learnt.target
            )
        case "unlinked":
            return AccountUnlinked(start=changed, subject=who, target=learnt.target)
        case "barred":
            basis = cast(Basis, learnt.basis)
            return SanctionStarted(kind="ban", until=learnt.until, basis=basis, rule=learnt.rule, subject=who)
        case "prolonged":
            return SanctionExtended(start=changed, kind="ban", until=learnt.until, subject=who)
        case "admitted":
            return SanctionEnded(start=changed, kind="ban", why=cast(WhyEnded, learnt.why), subject=who)
        case "spared" | "unspared":
            return ListSpared(step=learnt.what, list=learnt.list, undoes=changed, subject=who, server=learnt.server)
    return None
