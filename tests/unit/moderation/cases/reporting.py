"""Reports of messages in the room of the unit tests."""

from typing import Any, Literal

from moderation.cases.reports import (
    AroundReports,
    ReportContext,
    ReportedCase,
    ReportedMessage,
    Reporter,
    report,
)
from moderation.consequences import Known
from moderation.model.actions.telling import Tell
from moderation.model.builtin_rules import REPORTED
from moderation.model.context import CaseView
from moderation.model.facts import (
    CaseDecided,
    CaseOpened,
    CaseState,
    Fact,
    Outcome,
    Reported,
)
from moderation.policy import ReportSettings
from moderation.values.ids import CaseNumber, EventId, PersonId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    MARK,
    NOON,
    ROOM,
    context,
    in_words_of,
    known,
    policy,
)

BEN, CLEO = UserId("@ben:example.org"), UserId("@cleo:example.org")
SAID = ReportedMessage(EventId("$said"), 7, "you are all fools")
POLICY, UNKNOWN = policy(), ReportContext()


def case(
    n: int = 3, *, state: CaseState = "open", outcome: Outcome | Literal[""] = "", rule: str = REPORTED, **more: Any
) -> CaseView:
    return CaseView(
        n=CaseNumber(n),
        room=ROOM,
        subject=ANNA,
        person=PersonId(ANNA),
        rule=rule,
        grade="moderate",
        decide="manager",
        manages=False,
        state=state,
        outcome=outcome,
        opened=NOON,
        **more,
    )


def filed(
    by: UserId = BEN,
    *,
    known: ReportContext = UNKNOWN,
    subject: Any = ANNA,
    message: ReportedMessage = SAID,
    now: int = NOON,
    **p: Any,
) -> tuple[Fact, ...]:
    here = context(subject, now=now, next_case=5)
    return report(message, by=by, reason="rude", context=here, known=known, policy=policy(**p), on=9)


def reported(n: int) -> Reported:
    return Reported(room=ROOM, on=9, n=n, message=7, subject=ANNA, by=BEN, reason="rude")


SETTINGS = ReportSettings()


def around(*reporters: Reporter, misuse: tuple[CaseView, ...] = (), **settings: Any) -> AroundReports:
    known = ReportSettings.model_validate(settings) if settings else SETTINGS
    return AroundReports(now_ms=NOON, settings=known, next_case=20, cases={3: ReportedCase(reporters, misuse)})


def decided(what: str = "dismissed", state: str = "decided", n: int = 3, by: UserId = MARK) -> CaseDecided:
    return CaseDecided(room=ROOM, on=9, n=n, what=what, state=state, subject=ANNA, by=by)  # type: ignore[arg-type]


def told(facts: tuple[Fact, ...], **reporters: UserId) -> dict[str, tuple[list[str], bool]]:
    """Return who is told what, and whether it must be told in private."""
    cases = {
        **{f.n: known(f.n, user=f.subject, rule=f.rule) for f in facts if isinstance(f, CaseOpened)},
        **{f.n: known(f.n, state=f.state, outcome=f.what, rule=REPORTED) for f in facts if isinstance(f, CaseDecided)},
    }
    about = Known({n: each.cases[n] for n, each in cases.items()}, NOON)
    actions = in_words_of(facts, lambda _: (), {3: tuple(reporters.values())}, about)
    return {
        action.subject: ([each.key for each in action.lines], action.alone)
        for action in actions
        if isinstance(action, Tell)
    }
