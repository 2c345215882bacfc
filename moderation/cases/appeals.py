"""Appeals: somebody asks for a decided case to be reviewed.

Rules kept here:
- The person whom an upheld case concerns can appeal it, and somebody whose report was dismissed can appeal that; each
  once, and within the time of the policy.
- An appeal goes to somebody who did not decide (`moderation/duty/responsibility.py`), and to the operator if its
  consequences reach beyond one room.
- The person whom a case concerns can ask the operator once more, unless an operator answered before.
- Until then the decision holds.
- If a report is upheld on the reporter's appeal, that is a first decision against the person concerned, who can appeal
  in turn.

Left to others: what a reversal brings (`decide.py`).
"""

from collections.abc import Collection

from moderation.model.context import CaseView
from moderation.model.facts import Appealed
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import UserId

from .lifecycle import step


def can_appeal_again(case: CaseView, policy: Policy) -> bool:
    """Return whether an operator can be asked after an appeal: there is one, and none answered it."""
    return bool(policy.operators) and not any(user in policy.operators for user in case.deciders)


def can_be_appealed(case: CaseView, policy: Policy) -> bool:
    """Return whether the person whom a case concerns can appeal the decision, in time."""
    if case.outcome != "upheld":
        return False
    return case.state in ("decided", "reversed") or (case.state == "affirmed" and can_appeal_again(case, policy))


def is_open_to_appeal(case: CaseView, policy: Policy, now_ms: int) -> bool:
    """Return whether the person whom a case concerns can appeal the decision at this moment."""
    return can_be_appealed(case, policy) and now_ms <= case.decided + policy.cases.appeal_within


def only_decider_hears(case: CaseView, policy: Policy) -> bool:
    """Return whether an appeal goes to the operator who decided, since there is no other and nobody above them."""
    operators = tuple(map(UserId, policy.operators))
    others = (user for user in operators if not case.was_decided_by(user) and not case.is_about(user))
    return case.by in operators and not any(others)


def lodge(
    case: CaseView,
    *,
    by: UserId,
    words: str,
    now_ms: int,
    policy: Policy,
    on: int,
    reporters: Collection[UserId] = (),
) -> tuple[Appealed, ...]:
    """Return the appeal; `reporters` are all accounts of those who had reported the case.

    Raises `Refused` with the reason if there can be none, or `IllegalStep` if there was one already.
    """
    reported = by in reporters and not case.is_about(by)
    if not (reported or case.is_about(by)):
        raise Refused("error.case.none", n=case.n)
    if case.state == "appealed":
        raise Refused("error.appeal.already", n=case.n)
    if not case.outcome and not case.due:  # it waits for another one
        raise Refused("error.appeal.waits", n=case.n)
    if not case.outcome:
        raise Refused("error.appeal.undecided", n=case.n, until=case.due)
    if case.outcome != ("dismissed" if reported else "upheld"):
        raise Refused("error.appeal.report" if reported else "error.appeal.nothing", n=case.n)
    if (reported and case.state != "decided") or (case.state == "affirmed" and not can_appeal_again(case, policy)):
        raise Refused("error.appeal.heard", n=case.n)
    if not words.strip():
        raise Refused("error.missing.words")
    if now_ms > case.decided + policy.cases.appeal_within:
        raise Refused("error.appeal.late", n=case.n)
    step(case.state, "appeal")
    due = now_ms + policy.cases.deadlines.of(case.grade)
    return (Appealed(room=case.room, on=on, n=case.n, due=due, report=int(reported), subject=by, words=words),)
