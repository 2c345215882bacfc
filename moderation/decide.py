"""Decides a case: upheld or dismissed, and everything that follows.

Rules this module keeps: an illegal step raises and changes nothing; upholding applies the rule's measure (what the
interim measure has not done already) and the charge; dismissing ends what rested on the case and compensates what
was charged, so that the balance is as if the entry had never been; on appeal the same two words affirm or reverse.
A redaction cannot be undone: the record keeps the words.
"""

from dataclasses import replace

from .cases import step
from .context import CaseView, Context
from .errors import Refused
from .facts import CaseDecided, Fact, SanctionEnded, SanctionStarted
from .ids import UserId
from .judge import charged
from .ledger import compensate, entries_with
from .policy import Policy, RuleSettings
from .responsibility import may_reconsider, require_decider, require_other_decider
from .tiers import tier_facts


def decide(
    case: CaseView,
    what: str,
    *,
    by: UserId,
    decided_by: str,
    reason: str,
    context: Context,
    policy: Policy,
    on: int,
) -> tuple[Fact, ...]:
    """The facts of a decision by `by`; `context.subject` is whom the case concerns.

    Raises `Refused` if `by` may not decide it, `IllegalStep` if the case cannot take that step.
    """
    require_decider(case, by, context.room, policy)
    if case.state == "appealed":
        return _on_appeal(case, what, by, decided_by, reason, context, policy, on)
    if case.outcome == what:
        raise Refused(f"error.case.already.{what}", n=case.n)
    if case.outcome and not may_reconsider(decided_by, by, context.room, policy):
        raise Refused("error.case.decided-by-other", n=case.n, who=decided_by)
    step(case.state, "reconsider" if case.outcome else _STEPS[what])  # type: ignore[arg-type]
    follows = _upheld if what == "upheld" else _dismissed
    return (_decided(case, what, "decided", by, reason, on), *follows(case, by, context, policy, on))


def _on_appeal(
    case: CaseView, what: str, by: UserId, decided_by: str, reason: str, context: Context, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """An appeal is decided by somebody else than the decision was; affirming it changes nothing."""
    require_other_decider(case, by, decided_by, policy)
    if what == case.outcome:
        return (_decided(case, what, step("appealed", "affirm"), by, reason, on),)
    decided = _decided(case, what, step("appealed", "reverse"), by, reason, on)
    return (decided, *_dismissed(case, by, context, policy, on))


def _decided(case: CaseView, what: str, state: str, by: UserId, reason: str, on: int) -> CaseDecided:
    return CaseDecided(
        room=case.room,
        on=on,
        n=case.n,
        what=what,  # type: ignore[arg-type]
        state=state,  # type: ignore[arg-type]
        subject=case.subject,
        by=by,
        reason=reason,
    )


_STEPS = {"upheld": "uphold", "dismissed": "dismiss"}


def _upheld(case: CaseView, by: UserId, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    rule = next((rule for rule in policy.rules if rule.name == case.rule), None)
    return (
        *(_measures(case, rule, by, context, on) if rule else ()),
        *charged(context, policy, rule=case.rule, grade=case.grade, n=case.n, on=on),
    )


def _measures(case: CaseView, rule: RuleSettings, by: UserId, context: Context, on: int) -> tuple[Fact, ...]:
    """The rule's measure, as far as the record does not say that it was taken already."""
    facts: list[Fact] = []
    if rule.measure in ("redact", "mute"):
        facts += [
            SanctionStarted(
                room=case.room,
                on=on,
                kind="redact",
                n=case.n,
                basis="decision",
                rule=rule.name,
                subject=case.subject,
                event=event,
                by=by,
            )
            for event in case.messages
            if ("redact", event) not in case.done
        ]
    if rule.measure == "mute" and all(kind != "mute" for kind, _ in case.done):
        facts.append(
            SanctionStarted(
                room=case.room,
                on=on,
                kind="mute",
                until=context.now_ms + rule.mute_for,
                n=case.n,
                basis="decision",
                rule=rule.name,
                subject=case.subject,
                by=by,
            )
        )
    return tuple(facts)


def _dismissed(case: CaseView, by: UserId, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    facts: list[Fact] = [
        SanctionEnded(
            room=sanction.room,
            on=on,
            start=sanction.record,
            kind=sanction.kind,
            why="reversed",
            n=case.n,
            subject=sanction.subject,
            by=by,
        )
        for sanction in context.subject.in_force
        if sanction.n == case.n and sanction.basis != "credit"
    ]
    undone = {entry.undoes for entry in context.subject.entries}
    for entry in context.subject.entries:
        if entry.case == case.n and entry.entry != "compensation" and entry.id not in undone:
            back = compensate(context, policy, entry, on=on)
            facts += [back, *tier_facts(context, policy, back)]
            entries = entries_with(context.subject, back, context.now_ms)
            context = replace(context, subject=replace(context.subject, entries=entries))
    return tuple(facts)
