"""cases, case, uphold, dismiss, why: cases seen and decided, by word or by a reaction on the card."""

from typing import Any

from moderation.appeals import lodge
from moderation.consequences import DISMISS, MORE, UPHOLD
from moderation.context import CaseView
from moderation.decide import decide
from moderation.errors import Refused
from moderation.ids import UserId
from moderation.notices import Line, Moment, Phrase, RoomName, RuleText, Who, line
from moderation.responsibility import require
from storage import views

from ..desk import card_lines
from .call import Call, Command, Reply

MAX_CASES = 20


async def cases(call: Call) -> Reply:
    """The open cases of the room, by deadline."""
    require("decide", call.caller, call.group, call.policy)
    rows = await views.open_cases(call.db, call.group.room, MAX_CASES)
    if not rows:
        return Reply((line("cases.none", room=RoomName(call.group.room)),), private=True)
    lines = [line("cases.head", room=RoomName(call.group.room), count=len(rows))]
    lines += [
        line(
            "cases.due",
            n=row.n,
            grade=Phrase(f"grade.{row.grade}"),
            rule=RuleText(row.rule),
            who=Who(UserId(row.subject)),
            due=Moment(row.due),
        )
        for row in rows
    ]
    return Reply(tuple(lines), private=True)


async def case(call: Call) -> Reply:
    """All that is known of one case."""
    require("decide", call.caller, call.group, call.policy)
    found, row = await _find(call, call.given.case or 0)
    person = (await call.context(found.subject)).subject
    return Reply(card_lines(found, row, person, call.policy, call.now_ms, call.prefix), private=True)


async def uphold(call: Call) -> Reply:
    """The rule was broken."""
    return await _decide(call, "upheld")


async def dismiss(call: Call) -> Reply:
    """The rule was not broken."""
    return await _decide(call, "dismissed")


async def why(call: Call) -> Reply:
    """What was decided about oneself, and why: the newest case, or the one named."""
    n = call.given.case or await views.newest_case_of(call.db, call.caller)
    if not n:
        return Reply((line("why.none"),), private=True)
    found = await views.case_view(call.db, n)
    if found is None or found[0].subject != call.caller:
        raise Refused("error.case.none", n=n)
    return Reply(_statement(*found), private=True)


async def appeal(call: Call) -> Reply:
    """Ask for a decision about oneself to be looked at again; also by those who are muted, removed or banned."""
    found, row = await _any_case(call)
    facts = lodge(
        found,
        by=call.caller,
        words=call.given.reason,
        decided_ms=row.decided,  # type: ignore[attr-defined]
        now_ms=call.now_ms,
        policy=call.policy,
        on=call.on,
    )
    return Reply((), facts, call.gone(), private=True)


async def pressed(call: Call, n: int, key: str) -> Reply | None:
    """A reaction on a card."""
    key = key.replace("\ufe0f", "")  # some clients add a variation selector
    if key == UPHOLD:
        return await _decide(call, "upheld", n)
    if key == DISMISS:
        return await _decide(call, "dismissed", n)
    if key != MORE:
        return None
    require("decide", call.caller, call.group, call.policy)
    found, _ = await _find(call, n)
    rows = await views.cases_of(call.db, found.subject, call.group.room, MAX_CASES)
    lines = [line("history.head", who=Who(found.subject), count=len(rows))]
    lines += [case_line(row) for row in rows]
    return Reply(tuple(lines))


def case_line(row: Any) -> Line:
    """One case of a list; `row` is its row in the table of cases."""
    return line(
        "cases.one",
        n=row.n,
        grade=Phrase(f"grade.{row.grade}"),
        rule=RuleText(row.rule),
        who=Who(UserId(row.subject)),
        state=Phrase(f"state.{row.outcome or row.state}"),
        when=Moment(row.opened),
    )


async def _decide(call: Call, what: str, n: int = 0) -> Reply:
    found, row = await _find(call, n or call.given.case or 0)
    facts = decide(
        found,
        what,
        by=call.caller,
        decided_by=row.by,  # type: ignore[attr-defined]
        reason=call.given.reason,
        context=await call.context(found.subject),
        policy=call.policy,
        on=call.on,
    )
    return Reply((line(f"decided.{what}", n=found.n, who=Who(found.subject)),), facts)


async def _any_case(call: Call) -> tuple[CaseView, object]:
    """A case by its number alone: whom it concerns may not be in the room any more."""
    n = call.given.case or 0
    found = await views.case_view(call.db, n)
    if found is None:
        raise Refused("error.case.none", n=n)
    return found


async def _find(call: Call, n: int) -> tuple[CaseView, object]:
    found = await views.case_view(call.db, n)
    if found is None or found[0].room != call.group.room:
        raise Refused("error.case.none", n=n)
    return found


def _statement(found: CaseView, row: object) -> tuple[Line, ...]:
    lines = [
        line(
            "why.case",
            n=found.n,
            room=RoomName(found.room),
            when=Moment(row.opened),  # type: ignore[attr-defined]
            rule=RuleText(found.rule),
            grade=Phrase(f"grade.{found.grade}"),
        )
    ]
    if words := row.excerpt:  # type: ignore[attr-defined]
        lines.append(line("why.words", words=words))
    lines.append(line("why.found"))
    by = row.by  # type: ignore[attr-defined]
    if not found.outcome:
        lines.append(line("why.open", due=Moment(row.due)))  # type: ignore[attr-defined]
    elif by:
        lines.append(line(f"why.{found.outcome}", by=Who(by)))
    else:
        lines.append(line("why.by-rule"))
    if reason := row.reason:  # type: ignore[attr-defined]
        lines.append(line("notice.reason", reason=reason))
    return tuple(lines)


COMMANDS = (
    Command("why", "everyone", "case?", why, anywhere=True),
    Command("appeal", "everyone", "case reason*", appeal, anywhere=True),
    Command("cases", "manager", "", cases),
    Command("case", "manager", "case", case),
    Command("uphold", "manager", "case reason*", uphold),
    Command("dismiss", "manager", "case reason*", dismiss),
)
