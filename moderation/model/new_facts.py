"""The facts with which cases and measures begin, each made in one place.

Rules kept here:
- A case under one of the bot's own rules has the grade of that rule, and is decided by the level that it names.
- A case that waits is due after the time of its grade.
- If a person acted directly, the case says that a person decided it; else that a rule did.

Left to others: when one begins, and how it ends (`InForce.end`).
"""

from moderation.policy import Grade, Policy
from moderation.values.ids import NO_EVENT, NO_USER, EventId, RoomId, UserId

from .builtin_rules import OWN_RULES
from .context import Context
from .facts import Basis, CaseOpened, SanctionKind, SanctionStarted


def decided_case(
    rule: str,
    room: RoomId | None,
    n: int,
    subject: UserId,
    *,
    on: int = -1,
    due: int = 0,
    about: int = 0,
    manages: bool = False,
    event: EventId = NO_EVENT,
    by: UserId = NO_USER,
    reason: str = "",
) -> CaseOpened:
    """Return a case under one of the bot's own rules, decided as it opens."""
    return CaseOpened(
        room=room,
        on=on,
        n=n,
        rule=rule,
        grade=OWN_RULES[rule].grade,
        decide="manager" if by else "auto",
        state="decided",
        due=due,
        asked=OWN_RULES[rule].decided_by,
        about=about,
        manages=int(manages),
        subject=subject,
        event=event,
        by=by,
        reason=reason,
    )


def waiting_case(
    context: Context, policy: Policy, rule: str, grade: Grade, *, on: int, event: EventId, excerpt: str
) -> CaseOpened:
    """Return a case about `context.subject` that waits for a decision of the managers."""
    room, subject = context.room.room, context.subject
    return CaseOpened(
        room=room,
        on=on,
        n=context.next_case,
        rule=rule,
        grade=grade,
        decide="manager",
        state="open",
        due=context.now_ms + policy.cases.deadlines.of(grade),
        manages=int(room in subject.manages),
        subject=subject.user,
        event=event,
        excerpt=excerpt,
    )


def sanction_here(
    context: Context,
    kind: SanctionKind,
    basis: Basis,
    *,
    n: int,
    rule: str = "-",
    on: int = -1,
    until: int = 0,
    event: EventId = NO_EVENT,
    by: UserId = NO_USER,
    reason: str = "",
) -> SanctionStarted:
    """Return a sanction against `context.subject` in the room of `context`."""
    return SanctionStarted(
        room=context.room.room,
        on=on,
        kind=kind,
        until=until,
        n=n,
        basis=basis,
        rule=rule,
        subject=context.subject.user,
        event=event,
        by=by,
        reason=reason,
    )


def removal_here(context: Context, basis: Basis, *, n: int, rule: str, on: int, event: EventId) -> SanctionStarted:
    """Return the removal of an event of `context.subject`; of one that is not delivered yet: that it never is."""
    kind: SanctionKind = "withhold" if context.beforehand else "redact"
    return sanction_here(context, kind, basis, n=n, rule=rule, on=on, event=event)
