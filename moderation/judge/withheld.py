"""The judge of an event that was refused before its delivery: what follows for its sender.

Rules kept here:
- The refusal stands: nobody sees the event, whatever is known by now.
- What follows is what would follow if it had been delivered and removed: findings, a case, a charge, a measure.
- The rule that refused it counts as broken as it was said then; other rules are asked now.
- It counts towards no flood and no pace, since it is no event of its room.
- If the rule would not remove it now, or is no rule any more, nothing is charged by itself: a person decides.

Left to others: whether an event is refused (`beforehand.py`), its record (`bot/pipeline/withheld.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from moderation.credit.waiting import facts_of_waiting
from moderation.model.builtin_rules import NEW_MEMBER_RULES, TIER_LINKS, UNVERIFIED
from moderation.model.context import Context
from moderation.model.facts import CaseGrew, CaseOpened, Fact, SanctionStarted
from moderation.model.facts.cases import EXCERPT
from moderation.model.new_facts import removal_here, waiting_case
from moderation.people.verification import facts_of_writing
from moderation.policy import Policy
from moderation.rooms.slow_mode import PACES, was_told
from moderation.rules.event_texts import found_in
from moderation.values.events import (
    MembershipChanged,
    MessagePosted,
    OtherEvent,
    ReactionGiven,
    Redacted,
    StateChanged,
)

from .beforehand import Refusal
from .judge import CompiledRule, RuleHit, facts_of_hits, hits_of, is_removed

Withholdable = MessagePosted | MembershipChanged | StateChanged | ReactionGiven | Redacted | OtherEvent
WITHOUT_RULE = frozenset({*PACES, *NEW_MEMBER_RULES, TIER_LINKS, UNVERIFIED})  # the bot's own; they charge nothing


def judge_withheld(
    event: Withholdable, refusal: Refusal, context: Context, policy: Policy, rules: Sequence[CompiledRule], on: int
) -> tuple[Fact, ...]:
    """Return what follows from the refusal of `event`, which is recorded at `on`. One of the facts is "withhold"."""
    context = replace(context, beforehand=True, recent_ms=(), recent_others=(), stood=None)
    facts = facts_of_hits(_hits(event, refusal, context, policy, rules), event, context, policy, on)
    if not is_removed(facts):
        facts += _withheld(event, refusal, facts, context, policy, on)
    if refusal.rule == UNVERIFIED:
        return facts
    return (*facts, *facts_of_writing(event, context, policy, on, gone=True))


def _hits(
    event: Withholdable, refusal: Refusal, context: Context, policy: Policy, rules: Sequence[CompiledRule]
) -> list[RuleHit]:
    """Return what the event breaks, in the order of the rules."""
    now = {rule.settings.name: hit for rule, hit in hits_of(event, context, policy, rules)}
    said = {**now, refusal.rule: refusal.hit}
    return [(rule, said[rule.settings.name]) for rule in rules if rule.settings.name in said]


def _withheld(
    event: Withholdable, refusal: Refusal, facts: Sequence[Fact], context: Context, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """Return what is missing in `facts`: that the event was withheld, with a case if none says why."""
    taken = sum(isinstance(fact, CaseOpened) for fact in facts)
    context = replace(context, next_case=context.next_case + taken)
    if refusal.rule in WITHOUT_RULE:
        return _by_own_rule(event, refusal, context, policy, on)
    case = next((fact for fact in facts if isinstance(fact, CaseOpened | CaseGrew)), None)
    about = case or _case(event, refusal, context, policy, on)
    gone = removal_here(context, "interim", n=about.n, rule=refusal.rule, on=on, event=event.event)
    return (gone,) if case else (about, gone)


def _case(event: Withholdable, refusal: Refusal, context: Context, policy: Policy, on: int) -> CaseOpened | CaseGrew:
    """Return a case for people to decide, or that it joins the one of the same incident."""
    known = context.subject.recent_cases.get((event.room, refusal.rule))
    window = policy.credit.incident_window
    if known is not None and known.outcome != "dismissed" and event.received_ms - known.opened <= window:
        return CaseGrew(room=event.room, on=on, n=known.n, subject=event.sender, event=event.event)
    excerpt = text.value if (text := found_in(event.texts, refusal.hit, EXCERPT)) else ""
    return waiting_case(context, policy, refusal.rule, refusal.grade, on=on, event=event.event, excerpt=excerpt)


def _by_own_rule(event: Withholdable, refusal: Refusal, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    if refusal.rule == UNVERIFIED:
        due = facts_of_writing(event, context, policy, on, gone=False)
        if is_removed(due):
            return due
    gone = removal_here(context, "rule", n=0, rule=refusal.rule, on=on, event=event.event)
    if refusal.rule == TIER_LINKS and isinstance(event, MessagePosted):
        return facts_of_waiting(event, gone, context, policy)
    return (_with_wait(gone, refusal, context),)


def _with_wait(gone: SanctionStarted, refusal: Refusal, context: Context) -> SanctionStarted:
    """Return the removal with how long the sender has to wait, and whether they were told before."""
    if refusal.rule in PACES:
        told = was_told(refusal.rule, context)
    else:
        told = any((context.room.room, rule) in context.subject.told for rule in NEW_MEMBER_RULES)
    return replace(gone, every=refusal.every, messages=refusal.messages, quiet=int(told))
