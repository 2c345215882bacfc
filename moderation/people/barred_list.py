"""The barred list: people who stay out of every protected room, set by an operator, with a case that can be appealed.

Rules kept here:
- An entry has a reason and an end.
- The bot and operators are never listed, and nobody is listed twice.
- Somebody taken off early is admitted everywhere at once.
- An entry that rests on credit (tier E) is treated like any other.

Left to others: reading (`storage/queries`), writing (`bot/admin/barred.py`), the rooms
(`moderation/rooms/align_people.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.model.builtin_rules import BARRED
from moderation.model.context import CaseView, Context, InForce
from moderation.model.facts import CaseGrew, CaseOpened, Fact, SanctionStarted
from moderation.model.new_facts import decided_case
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import EventId, UserId
from moderation.values.notices import Moment


@dataclass(frozen=True, slots=True)
class BarredEntry:
    """An operator's request to bar somebody."""

    by: UserId
    reason: str
    until: int
    reader: str = ""  # the operator, as a user of the operating system
    evidence: tuple[CaseView, ...] = ()
    messages: tuple[tuple[int, EventId], ...] = ()  # of the evidence: record and event


def bar(entry: BarredEntry, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Put `context.subject` on the list. Raises `Refused` with the reason if that is not possible."""
    _refuse(entry, context, policy)
    user, n, room = context.subject.user, context.next_case, context.room.room
    opened = decided_case(BARRED, room, n, user, due=context.now_ms, by=entry.by, reason=entry.reason)
    start = SanctionStarted(
        kind="ban",
        until=entry.until,
        n=n,
        basis="operator",
        rule=BARRED,
        subject=user,
        by=entry.by,
        reason=entry.reason,
        reader=entry.reader,
    )
    return (opened, start)


def evidence(entry: BarredEntry, opened: CaseOpened) -> tuple[CaseGrew, ...]:
    """Return the evidence of the case: the messages of earlier ones, which are kept while the entry holds."""
    return tuple(
        CaseGrew(room=opened.room, on=record, n=opened.n, subject=opened.subject, event=event)
        for record, event in entry.messages
    )


def unbar(in_force: Sequence[InForce], *, by: UserId, reason: str, reader: str) -> tuple[Fact, ...]:
    """Take somebody off the list before their time."""
    entries = (each for each in in_force if is_entry(each))
    return tuple(each.end("command", on=-1, by=by, reason=reason, reader=reader) for each in entries)


def is_entry(sanction: InForce) -> bool:
    """Return whether a sanction is an entry of the barred list."""
    return sanction.kind == "ban" and sanction.room is None


def refuse_ours(user: UserId, bot: UserId, policy: Policy) -> None:
    """Raise `Refused` for the bot and for operators."""
    if user == bot:
        raise Refused("error.target.bot")
    if user in policy.operators:
        raise Refused("cli.barred.operator", who=user)


def _refuse(entry: BarredEntry, context: Context, policy: Policy) -> None:
    user = context.subject.user
    refuse_ours(user, context.bot, policy)
    if entry.until <= context.now_ms:
        raise Refused("cli.barred.past")
    for each in context.subject.in_force:
        if is_entry(each):
            raise Refused("cli.barred.already", who=user, until=Moment(each.until))
    for case in entry.evidence:
        if case.person != context.subject.person or case.outcome != "upheld":
            raise Refused("cli.barred.evidence", n=case.n, who=user)
