"""Decisions on cases: upheld or dismissed, and everything that follows.

Rules kept here:
- An illegal step raises and changes nothing.
- Upholding applies the rule's measure (what the interim measure has not done already) and the charge.
- Dismissing ends what rested on the case and compensates the charges, so that the balance is as if the entry had never
  been. A policy list whose entry brought the case no longer touches the person or server, until people say that it may.
- On appeal the same two words affirm or reverse.
- If an operator upholds what the people of a room upheld before, it counts everywhere from then on
  (`moderation/model/reach.py`).
- A redaction cannot be undone: the record keeps the words.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

from moderation.credit.credit import entries_in_force
from moderation.credit.ledger import LEDGERS, compensate, confirmed, with_entry
from moderation.credit.tiers import reaching_further, tier_facts
from moderation.duty.responsibility import (
    may_reconsider,
    may_undo,
    require_decider,
    require_hearer,
    require_other_decider,
)
from moderation.judge.judge import charge_violation
from moderation.lists.server_entries import denied_by_decision
from moderation.model.builtin_rules import (
    LISTED,
    LISTED_SERVER,
    OUTSIDE,
    OWN_RULES,
    REPORTED,
    TIER_LINKS,
    ledger_of,
    report_rule,
)
from moderation.model.context import CaseView, Context, RoomView
from moderation.model.facts import EntryConfirmed, Fact, ListSpared, Outcome
from moderation.model.new_facts import sanction_here
from moderation.model.reach import DEPLOYMENT, reach_of
from moderation.policy import Policy, RuleBase
from moderation.rules.base import REDACTING, against_author
from moderation.values.errors import Refused
from moderation.values.ids import UserId

from .lifecycle import Step, step
from .neglect import charged_again, cost_of


def decide(
    case: CaseView,
    what: Outcome,
    *,
    by: UserId,
    reason: str,
    context: Context,
    policy: Policy,
    on: int,
) -> tuple[Fact, ...]:
    """Return the facts of a decision by `by`; `context.subject` is the person whom the case concerns.

    Raises `Refused` if `by` may not decide it, `IllegalStep` if the case cannot take that step.
    """
    require_decider(case, by, context.room, policy)
    if case.state == "appealed":
        return _on_appeal(case, what, by, reason, context, policy, on)
    if case.outcome == what:
        return _again(case, what, by, reason, context, policy, on)
    if what == "upheld" and case.rule in OWN_RULES and case.outcome and not _can_be_brought_again(case.rule):
        raise Refused("error.case.not-again", n=case.n)
    if case.outcome and not may_undo(case, by, policy):
        raise Refused("error.case.for-operator", n=case.n)
    if case.outcome and not may_reconsider(case, by, context.room, policy):
        raise Refused("error.case.decided-by-other", n=case.n, who=case.by)
    step(case.state, "reconsider" if case.outcome else _STEPS[what])
    follows = _upheld if what == "upheld" else _dismissed
    return (case.decision(what, "decided", by=by, on=on, reason=reason), *follows(case, by, context, policy, on))


def _again(
    case: CaseView, what: Outcome, by: UserId, reason: str, context: Context, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """Decide the same once more, which means something only if it counts further from now on."""
    wider = _confirmed(case, what, by, context, policy, on)
    if not wider or case.state not in ("decided", "affirmed", "reversed"):
        raise Refused(f"error.case.already.{what}", n=case.n)
    return (case.decision(what, case.state, by=by, on=on, reason=reason), *wider)


def would_follow(case: CaseView, what: Outcome, *, by: UserId, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return what a decision would bring besides itself, without deciding anything."""
    if case.rule in OWN_RULES and case.outcome and what == "upheld" and not _can_be_brought_again(case.rule):
        return ()
    return (_upheld if what == "upheld" else _dismissed)(case, by, context, policy, on=-1)


def acknowledge(case: CaseView, by: UserId, room: RoomView, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """Record that somebody has seen the case.

    Raises `Refused` if they could not decide it, `IllegalStep` if it does not wait.
    """
    require_decider(case, by, room, policy)
    state = step(case.state, "acknowledge")
    return (case.moved("acknowledged", state, case.due, on=on, by=by),)


def _on_appeal(
    case: CaseView, what: Outcome, by: UserId, reason: str, context: Context, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """Decide an appeal, which takes another person than the decision; affirming it changes nothing."""
    require_other_decider(case, by, policy)
    require_hearer(case, by, policy)
    if what == case.outcome:
        wider = _confirmed(case, what, by, context, policy, on)
        return (case.decision(what, "affirmed", by=by, on=on, reason=reason), *wider)
    decided = case.decision(what, "reversed", by=by, on=on, reason=reason)
    follows = _upheld if what == "upheld" else _dismissed
    return (decided, *follows(case, by, context, policy, on))


def _confirmed(
    case: CaseView, what: Outcome, by: UserId, context: Context, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """Return what follows if an operator confirms what a room's people upheld: it counts everywhere from now on."""
    if what != "upheld" or by not in policy.operators:
        return ()
    return tuple(_widened(case, by, context, policy, on))


def _widened(case: CaseView, by: UserId, context: Context, policy: Policy, on: int) -> Iterator[Fact]:
    for ledger in LEDGERS:
        own = context.subject.entries if ledger == "credit" else context.subject.standing
        charges = [each for each in entries_in_force(own) if each.entry != "compensation"]
        for entry in (each for each in charges if each.case == case.n and each.reach != DEPLOYMENT):
            yield EntryConfirmed(
                room=case.room, on=on, start=entry.id, ledger=ledger, n=case.n, subject=case.subject, by=by
            )
            context = replace(context, subject=confirmed(context.subject, entry.id))
            yield from reaching_further(context, policy, ledger, entry.reach)


def _can_be_brought_again(rule: str) -> bool:
    """Return whether a dismissed case can be upheld; upholding does not repeat what somebody did directly."""
    return rule in (REPORTED, OUTSIDE, LISTED, LISTED_SERVER) or ledger_of(rule) == "standing"


_STEPS: Mapping[Outcome, Step] = {"upheld": "uphold", "dismissed": "dismiss"}


def _upheld(case: CaseView, by: UserId, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    if case.rule == LISTED_SERVER:
        again = _spared(case, "unspared", by, context, policy, on) if case.outcome == "dismissed" else ()
        return (*again, *denied_by_decision(case, by, context, policy, on=on))
    if not case.subject:  # a notice about a room: the managers themselves do what is needed
        return ()
    if case.rule == TIER_LINKS:  # the message that waited stays out, and costs nothing
        return ()
    if ledger_of(case.rule) == "standing":
        return charged_again(context, case.rule, cost_of(case.rule, policy), n=case.n, policy=policy, on=on, by=by)
    if case.rule == LISTED:
        return _banned(case, by, context, policy, on)
    rule = _rule_of(case, policy)
    return (
        *(_measures(case, rule, by, context, on) if rule else ()),
        *charge_violation(context, policy, rule=case.rule, grade=case.grade, n=case.n, on=on, by=by),
    )


def _banned(case: CaseView, by: UserId, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    """Return the ban of somebody whom a policy list names."""
    again = _spared(case, "unspared", by, context, policy, on) if case.outcome == "dismissed" else ()
    if any(each.n == case.n and each.kind == "ban" for each in context.subject.in_force):
        return tuple(again)
    until = context.now_ms + policy.lists.lasts
    reach = reach_of(by, case.rule, context.room.community, policy)
    ban = sanction_here(context, "ban", "decision", n=case.n, rule=case.rule, on=on, until=until, by=by)
    return (*again, replace(ban, room=None if reach == DEPLOYMENT else ban.room, reach=reach))


def _spared(
    case: CaseView, step: Literal["spared", "unspared"], by: UserId, context: Context, policy: Policy, on: int
) -> Iterator[Fact]:
    """Yield the facts that the lists which brought a case no longer touch its person or server, or may again."""
    reach = reach_of(by, case.rule, context.room.community, policy)
    for name in case.lists:
        yield ListSpared(
            room=case.room,
            on=on,
            step=step,
            list=name,
            reach=reach,
            n=case.n,
            subject=case.subject,
            by=by,
            server=case.server,
        )


def _rule_of(case: CaseView, policy: Policy) -> RuleBase | None:
    if case.rule == REPORTED:
        return report_rule(policy.reports)
    return next((rule for rule in policy.rules if rule.name == case.rule), None)


def _measures(case: CaseView, rule: RuleBase, by: UserId, context: Context, on: int) -> tuple[Fact, ...]:
    """Return the parts of the rule's measure that the record does not show as taken already."""
    taken = partial(sanction_here, context, basis="decision", n=case.n, rule=rule.name, on=on, by=by)
    facts: list[Fact] = []
    if rule.measure in REDACTING:
        about = case.events if rule.OF_FILES else case.messages  # a face goes with the event that shows it
        facts += [taken("redact", event=event) for event in about if ("redact", event) not in case.done]
    kind = against_author(rule.measure)
    invited_back = kind == "kick" and case.outcome == "dismissed"
    if kind is not None and (invited_back or all(done != kind for done, _ in case.done)):
        facts.append(taken(kind, until=rule.until(kind, context.now_ms)))
    return tuple(facts)


def _dismissed(case: CaseView, by: UserId, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    resting = [each for each in context.subject.in_force if each.n == case.n and each.basis not in LEDGERS]
    ended = (each.end("reversed", on=on, by=by) for each in resting)
    spared = _spared(case, "spared", by, context, policy, on)
    return (*ended, *_given_back(case, context, policy, on), *spared)


def _given_back(case: CaseView, context: Context, policy: Policy, on: int) -> Iterator[Fact]:
    """Yield the compensations; their consequences are derived once for each reach, after its last."""
    for ledger in LEDGERS:
        own = context.subject.entries if ledger == "credit" else context.subject.standing
        undone = {entry.undoes for entry in own}
        theirs = [e for e in own if e.case == case.n and e.entry != "compensation" and e.id not in undone]
        for entry in theirs:
            back = compensate(context, policy, entry, ledger, on=on)
            yield back
            if entry is [each for each in theirs if each.reach == entry.reach][-1]:
                yield from tier_facts(context, policy, back)
            context = replace(context, subject=with_entry(context.subject, back, context.now_ms))
