"""The application of facts that a shard learnt from the log of another.

Rules kept here:
- What was learnt is applied as the fact that was recorded there, without what means something at home only.
- Its order does not matter: what changes a record that is not learnt yet waits for it (`waits_for_other`), and the same
  record learnt twice counts once.
- Nothing is priced again: an entry has the cost that it got where it was made, though a repetition found in two shards
  within the delay may have been priced as a first time in both.

Left to others: which records of ours stand for those of other logs (`storage/projections/shards.py`), what follows from
a balance (`moderation/credit/tiers.py`).
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
    """Return whether it cannot be applied before the record that it changes is learnt."""
    return learnt.refers >= 0


def applied(learnt: Learnt, changed: int = -1) -> Fact | None:
    """Return the fact as which it is applied; None for what changes no table.

    `changed` is the record of ours that stands for the one that it changes.
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
