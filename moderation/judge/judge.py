"""The judge of one event: which rules it breaks, and what follows for its sender.

A pure function of (event, context, policy): no clock, no I/O, no text for people. The same inputs give the same facts
in the same order, so the journal can be replayed.

Rules kept here:
- Every rule looks at every event and every answer is kept, not only the gravest; one event opens at most one case, for
  the gravest answer.
- The same rule broken again by the same person within one incident (counted from its first message) joins the open
  case: the message is dealt with, nothing is charged a second time.
- The messages of managers and owners are judged too, but nothing applies before somebody else has decided.
- Where the bot may not act (an observed room) it opens cases for people to decide.
- A rule does not apply to the people whom its `unless` names (`spared.py`).
- A rule on trial (`dry_run`) gives a finding of its own kind, and nothing follows from it.
- A room's own rule removes a message without a decision, and costs nothing unless a person decides so.
- People who are not verified as the room asks are judged by the same rules, and then for that
  (`moderation/people/verification.py`).

Left to others: consequences of a decision (`moderation/cases/decide.py`) and of a low balance
(`moderation/credit/tiers.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from moderation.credit.credit import price
from moderation.credit.ledger import account_of_reach, charge
from moderation.credit.tiers import tier_facts
from moderation.credit.waiting import facts_of_waiting
from moderation.model.builtin_rules import TIER_LINKS
from moderation.model.context import CaseView, Context
from moderation.model.facts import REMOVING, Basis, CaseGrew, CaseOpened, Fact, Found, FoundOnTrial, SanctionStarted
from moderation.model.facts.cases import EXCERPT
from moderation.model.new_facts import removal_here, sanction_here, waiting_case
from moderation.model.reach import reach_of
from moderation.people.verification import facts_of_writing
from moderation.policy import GRADES, Grade, Measure, Policy, RuleSettings
from moderation.rooms.slow_mode import pace, reason_to_hold, was_told
from moderation.rules.base import BANNED_FOR, REDACTING, REMOVALS, Interim, against_author
from moderation.rules.check import Check, Hit, Judged, View
from moderation.rules.event_texts import found_in
from moderation.values.events import (
    FileSeen,
    MembershipChanged,
    MessagePosted,
    ReactionGiven,
    Received,
    Redacted,
    StateChanged,
    Undecryptable,
    Unreadable,
)

from .newcomers import held_of_newcomer
from .spared import is_spared

EVERYWHERE = ("*",)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule's settings, and the compiled check."""

    settings: RuleSettings
    check: Check
    own: bool = False  # a rule of the room's own

    @classmethod
    def of(cls, settings: RuleSettings, *, own: bool = False) -> "CompiledRule":
        """Compile a rule; `own`: it is a room's own. Cache the result: it takes up to a second for 100,000 terms."""
        return cls(settings, settings.compiled(own=own), own)


RuleHit = tuple[CompiledRule, Hit]


def judge(
    event: Received | FileSeen, context: Context, policy: Policy, rules: Sequence[CompiledRule], on: int
) -> tuple[Fact, ...]:
    """Return everything that follows from `event`, which is at index `on` of the journal, or is told by what is there.

    Of a file only its content is judged: the pace and the rights of its sender were, with its message.
    """
    if not _is_judged(event, context, policy):
        return ()
    facts = _by_rules(event, context, policy, rules, on)
    if isinstance(event, FileSeen):
        return facts
    if not is_removed(facts):  # a message that a rule lets stand is still subject to the pace
        taken = sum(isinstance(fact, CaseOpened) for fact in facts)
        facts += _held_back(event, replace(context, next_case=context.next_case + taken), policy, on)
    return (*facts, *facts_of_writing(event, context, policy, on, gone=is_removed(facts)))


def is_removed(facts: Sequence[Fact]) -> bool:
    """Return whether what was judged is removed by what follows from it."""
    return any(isinstance(fact, SanctionStarted) and fact.kind in REMOVING for fact in facts)


def _by_rules(
    event: Received | FileSeen, context: Context, policy: Policy, rules: Sequence[CompiledRule], on: int
) -> tuple[Fact, ...]:
    assert not isinstance(event, Undecryptable | Unreadable)
    return facts_of_hits(hits_of(event, context, policy, rules), event, context, policy, on)


def hits_of(event: Judged, context: Context, policy: Policy, rules: Sequence[CompiledRule]) -> list[RuleHit]:
    """Return the rules among these that `event` breaks and that apply to its sender, with their hits."""
    broken = broken_rules(event, context, rules)
    return [(rule, hit) for rule, hit in broken if not is_spared(rule.settings.unless, context, policy)]


def facts_of_hits(
    hits: Sequence[RuleHit], event: Judged, context: Context, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """Return what follows from the rules that `event` breaks: each finding, and the case for the gravest."""
    if not hits:
        return ()
    found = tuple(_found(rule.settings, hit, event, on) for rule, hit in hits)
    if not (hits := [pair for pair in hits if not pair[0].settings.dry_run]):
        return found
    # A room's own rule cannot displace the operator's: it comes after them, whatever class it claims.
    gravest, hit = max(hits, key=lambda pair: (not pair[0].own, GRADES.index(pair[0].settings.grade)))
    case = _case(gravest, hit, event, context, policy, on)
    if not is_removed(case) and not _waits_for_people(context):
        case += _taken_by_own_rule(event, context, [rule for rule, _ in hits], case, on)
    return (*found, *case)


def _taken_by_own_rule(
    event: Judged, context: Context, rules: Sequence[CompiledRule], case: Sequence[Fact], on: int
) -> tuple[Fact, ...]:
    """Redact the message if one of the room's own rules says so, though the case is about an operator's rule."""
    taking = (r.settings for r in rules if r.own and r.settings.decide == "auto")
    rule = next((each for each in taking if each.measure in REDACTING), None)
    n = next((fact.n for fact in case if isinstance(fact, CaseOpened | CaseGrew)), 0)
    gone = redaction_of(event, context, on, n, rule.name) if rule is not None else None
    return (gone,) if gone else ()


def broken_rules(event: Judged, context: Context, rules: Sequence[CompiledRule]) -> list[RuleHit]:
    """Return the rules among these that `event` breaks, with their hits, whomever they spare."""
    view = View(recent_ms=context.recent_ms, recent_others=context.recent_others, bot=context.bot)
    return [
        (rule, hit)
        for rule in rules
        if _applies(rule.settings, context) and (hit := rule.check.check(event, view)) is not None
    ]


def _is_judged(event: Received | FileSeen, context: Context, policy: Policy) -> bool:
    """Return whether an event consists of people's own words in a group that is served.

    Our own events do not, nor what the bot itself caused. A reaction can say anything, so it is judged like words; but
    everybody may report with one. Of memberships, people's own changes are judged, and the reason they give in an
    invitation; not their reason for removing somebody, which may quote.
    """
    if context.room.purpose != "group" or not context.room.active or event.sender == context.bot:
        return False
    if isinstance(event, MembershipChanged):
        return event.sender == event.user or event.membership == "invite"
    if isinstance(event, ReactionGiven):
        return not policy.reports.means(event.key)
    return not isinstance(event, Undecryptable | Unreadable)


def _applies(rule: RuleSettings, context: Context) -> bool:
    return rule.rooms == EVERYWHERE or context.room.is_among(rule.rooms)


def _found(rule: RuleSettings, hit: Hit, event: Judged, on: int) -> Found | FoundOnTrial:
    made = FoundOnTrial if rule.dry_run else Found
    return made(
        room=event.room,
        on=on,
        rule=rule.name,
        grade=rule.grade,
        where=hit.where or "-",
        count=hit.numbers.get("count", 0),
        limit=hit.numbers.get("limit", 0),
        message=event.message if isinstance(event, FileSeen) else -1,
        subject=event.sender,
        matched=hit.matched[:EXCERPT],
    )


def _case(found: CompiledRule, hit: Hit, event: Judged, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    rule = found.settings
    if isinstance(event, FileSeen) and rule.name in event.known:
        return ()  # another file of the same message
    known = context.subject.recent_cases.get((event.room, rule.name))
    window = policy.credit.incident_window
    if known is not None and known.outcome != "dismissed" and event.received_ms - known.opened <= window:
        return _more_evidence(known, rule, event, context, on)
    return _new_case(found, hit, event, context, policy, on)


def _more_evidence(known: CaseView, rule: RuleSettings, event: Judged, context: Context, on: int) -> tuple[Fact, ...]:
    message = event.message if isinstance(event, FileSeen) else -1
    grew = CaseGrew(room=event.room, on=on, n=known.n, message=message, subject=event.sender, event=event.event)
    if _waits_for_people(context):
        return (grew,)
    measure = rule.measure if rule.decide == "auto" or known.outcome == "upheld" else rule.interim
    gone = measure in REDACTING and redaction_of(event, context, on, known.n, rule.name)
    again = _removed_again(measure, known, rule, event, context, on)
    return tuple(fact for fact in (grew, gone, again) if fact)


def _removed_again(
    measure: Measure | Interim, known: CaseView, rule: RuleSettings, event: Judged, context: Context, on: int
) -> SanctionStarted | None:
    """Return the removal of somebody who was removed for this case, and came back. The third time it is a ban."""
    kind = against_author(measure)
    came = context.subject.joined.get(event.room, 0)
    if kind in (None, "mute") or not 0 < known.removed < came or _is_leaving(event):
        return None
    until = rule.until(kind, context.now_ms)
    if kind == "kick" and known.removals >= REMOVALS:
        kind, until = "ban", context.now_ms + BANNED_FOR
    return sanction_here(context, kind, "rule", n=known.n, rule=rule.name, on=on, until=until)


def _new_case(
    found: CompiledRule, hit: Hit, event: Judged, context: Context, policy: Policy, on: int
) -> tuple[Fact, ...]:
    rule, n = found.settings, context.next_case
    waits = _waits_for_people(context)
    excerpt = text.value if (text := found_in(event.texts, hit, EXCERPT)) else ""
    opened = waiting_case(context, policy, rule.name, rule.grade, on=on, event=event.event, excerpt=excerpt)
    if isinstance(event, FileSeen):
        opened = replace(opened, message=event.message, excerpt=event.said[:EXCERPT])
    if waits:
        return (opened,)
    if rule.decide == "manager":
        return (opened, *measures(rule.interim, rule, event, on, n, context, "interim"))
    opened = replace(opened, decide="auto", state="decided")
    applied = (opened, *measures(rule.measure, rule, event, on, n, context, "rule"))
    if found.own:  # written by the people of a room: it removes messages; a person decides what costs points
        return applied
    return (*applied, *charge_violation(context, policy, rule=rule.name, grade=rule.grade, n=n, on=on))


def _waits_for_people(context: Context) -> bool:
    """Return whether people must decide first.

    A wrong rule must not remove those who run a room; and where the bot may not act, people decide.
    """
    return context.room.room in context.subject.manages or context.room.condition != "protected"


def measures(
    measure: Measure | Interim, rule: RuleSettings, event: Judged, on: int, n: int, context: Context, basis: Basis
) -> tuple[Fact, ...]:
    """Return the facts of a rule's measure: a redaction, and what is done against the sender."""
    facts: list[Fact] = []
    if measure in REDACTING and (gone := redaction_of(event, context, on, n, rule.name, basis)):
        facts.append(gone)
    kind = against_author(measure)
    if kind is not None and not (kind == "kick" and _is_leaving(event)):
        until = rule.until(kind, context.now_ms)
        facts.append(sanction_here(context, kind, basis, n=n, rule=rule.name, on=on, until=until))
    return tuple(facts)


def _is_leaving(event: Judged) -> bool:
    return isinstance(event, MembershipChanged) and event.membership == "leave"


def redaction_of(
    event: Judged, context: Context, on: int, n: int, rule: str, basis: Basis = "rule"
) -> SanctionStarted | None:
    """Return the redaction of a message, a reason, a widget; None for a name or topic, where it does not help.

    Before its delivery a name or topic can be withheld; nobody's coming and going is, nor what takes something back.
    """
    if isinstance(event, FileSeen) and event.gone:
        return None
    if context.beforehand and isinstance(event, MembershipChanged | Redacted):
        return None
    if isinstance(event, StateChanged) and event.type.startswith("m.room.") and not context.beforehand:
        return None
    if isinstance(event, MembershipChanged) and event.membership == "join":
        return None
    return removal_here(context, basis, n=n, rule=rule, on=on, event=event.event)


def charge_violation(
    context: Context, policy: Policy, *, rule: str, grade: Grade, n: int, on: int, by: str = ""
) -> tuple[Fact, ...]:
    """Return the entry in the ledger and its consequences; `by` "": a rule of the operator's found it."""
    reach = reach_of(by, rule, context.room.community, policy)
    before = account_of_reach(context.subject, "credit", reach, context.room, policy).entries
    cost = price(before, rule=rule, grade=grade, now_ms=context.now_ms, settings=policy.credit)
    entry = charge(context, policy, cost, rule=rule, grade=grade, n=n, on=on, reach=reach)
    return (entry, *tier_facts(context, policy, entry))


def _held_back(event: Received, context: Context, policy: Policy, on: int) -> tuple[Fact, ...]:
    """Redact what somebody new cannot post yet, came too soon, or waits for a manager. Nothing is charged."""
    assert not isinstance(event, Undecryptable | Unreadable)
    if _waits_for_people(context):
        return ()
    if (held := held_of_newcomer(event, context, policy)) is not None:
        gone = redaction_of(event, context, on, 0, held.rule)
        return (replace(gone, every=held.left_ms, messages=held.messages, quiet=int(held.told)),) if gone else ()
    if not isinstance(event, MessagePosted):
        return ()
    reason = reason_to_hold(event, context, policy)
    gone = redaction_of(event, context, on, 0, reason) if reason is not None else None
    if reason is None or gone is None:
        return ()
    if reason == TIER_LINKS:
        return facts_of_waiting(event, gone, context, policy)
    limit = pace(context, policy)
    every = limit.every_ms if limit is not None and limit.rule == reason else 0
    told = was_told(reason, context)
    return (replace(gone, every=every, quiet=int(told), messages=1 if told else context.held_back + 1),)
