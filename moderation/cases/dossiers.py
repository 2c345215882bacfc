"""Serious and continuing offenders: when the operator is asked to prepare a file on somebody, or to record why not.

Rules kept here:
- Cases count that were upheld within the time of the policy, opened after an earlier measure in another case, and not
  reversed.
- The bot's own rules do not count, but reports by members do.
- Nobody is asked twice for the same: not while a task waits, and afterwards only because of a case decided since.

Left to others: reading this (`storage/queries/dossiers.py`), the file itself (`storage/export`), who may export it
(`bot/admin/dossiers.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.model.builtin_rules import CAP_JOINED, CAP_MEMBERS, OWN_RULES, REPORTED
from moderation.model.facts import CaseDecided, CaseOpened, Fact, TaskOpened
from moderation.policy import DossierSettings, Grade
from moderation.values.ids import RoomId, UserId

APPROVALS = 2  # by this many different people


@dataclass(frozen=True, slots=True)
class Offence:
    """A case that was upheld and still is."""

    n: int
    room: RoomId
    rule: str
    grade: Grade
    opened_ms: int
    decided_ms: int


@dataclass(frozen=True, slots=True)
class Before:
    """Earlier events: measures as (case or 0, time, rule), tasks as (time asked, time done or 0)."""

    measures: tuple[tuple[int, int, str], ...] = ()
    tasks: tuple[tuple[int, int], ...] = ()


def due(
    subject: UserId,
    offences: Sequence[Offence],
    before: Before,
    now_ms: int,
    settings: DossierSettings,
    *,
    on: int = -1,
) -> TaskOpened | None:
    """Return the task to ask the operator for, if it is time."""
    if any(not done for _, done in before.tasks):
        return None
    counted = [each for each in offences if _counts(each, before, now_ms, settings)]
    serious = sum(each.grade in ("serious", "severe") for each in counted)
    severe = sum(each.grade == "severe" for each in counted)
    if not (0 < settings.serious <= serious or 0 < settings.severe <= severe):
        return None
    newest = max(counted, key=lambda each: (each.decided_ms, each.n))
    if any(newest.decided_ms <= done for _, done in before.tasks):
        return None
    return TaskOpened(room=newest.room, on=on, task="dossier", n=newest.n, subject=subject)


def _counts(offence: Offence, before: Before, now_ms: int, settings: DossierSettings) -> bool:
    if offence.grade not in ("serious", "severe") or not is_violation(offence.rule):
        return False
    if offence.decided_ms <= now_ms - settings.within:
        return False
    return any(
        n != offence.n and at <= offence.opened_ms and rule not in (CAP_MEMBERS, CAP_JOINED)
        for n, at, rule in before.measures
    )


def is_violation(rule: str) -> bool:
    """Return whether a case under this rule is about an act in a group, not about a duty or a limit."""
    return rule not in OWN_RULES or rule == REPORTED


def as_it_will_be(offences: Sequence[Offence], upheld: Sequence[Offence], facts: Sequence[Fact]) -> tuple[Offence, ...]:
    """Return the offences after `facts`, by which `upheld` are upheld."""
    gone = {fact.n for fact in facts if isinstance(fact, CaseDecided)}
    found = {each.n: each for each in offences if each.n not in gone}
    return tuple((found | {each.n: each for each in upheld}).values())


def opened_decided(fact: CaseOpened, now_ms: int) -> Offence:
    """Return the offence of a case that is decided by the fact that opens it."""
    assert fact.room is not None
    return Offence(fact.n, fact.room, fact.rule, fact.grade, now_ms, now_ms)
