"""Appeals: the person whom a decided case concerns asks for it to be looked at again.

Rules this module keeps: only a case that was upheld can be appealed, once, and within the time of the policy; it goes
to somebody who did not decide (`responsibility.py`); until then the decision holds. Left to others: what a reversal
brings (`decide.py`).
"""

from .cases import step
from .context import CaseView
from .errors import Refused
from .facts import Appealed
from .ids import UserId
from .policy import Policy


def lodge(
    case: CaseView, *, by: UserId, words: str, decided_ms: int, now_ms: int, policy: Policy, on: int
) -> tuple[Appealed, ...]:
    """The appeal. Raises `Refused`, saying why there can be none, or `IllegalStep` if there was one already."""
    if not case.is_about(by):
        raise Refused("error.case.none", n=case.n)
    if case.state == "appealed":
        raise Refused("error.appeal.already", n=case.n)
    if case.outcome != "upheld":
        raise Refused("error.appeal.nothing", n=case.n)
    if not words.strip():
        raise Refused("error.missing.words")
    if now_ms > decided_ms + policy.cases.appeal_within:
        raise Refused("error.appeal.late", n=case.n)
    step(case.state, "appeal")  # type: ignore[arg-type]
    due = now_ms + policy.cases.deadlines.of(case.grade)
    return (Appealed(room=case.room, on=on, n=case.n, due=due, subject=by, words=words),)
