"""together: decide at once the cases of a raid, or about one person; by command or by a reaction on a card.

Rules kept here:
- The bot first shows which cases it means, and one tap on that message decides just these.
- What was decided meanwhile, got more messages, or must be decided by somebody else, stays as it is.

Left to others: which belong together (`moderation/cases/together.py`), deciding them (`decide_together.py`).
"""

from bot.texts.case_card import waiting_line
from moderation.cases.card_reactions import DISMISS, UPHOLD
from moderation.cases.together import belonging_with
from moderation.duty.responsibility import require
from moderation.model.context import CaseView
from moderation.model.facts import Outcome
from moderation.values.errors import Refused
from moderation.values.notices import line
from storage import queries

from .decide_together import decided_together
from .find_case import find_case
from .invocation import Call, Command, Reply
from .questions import asked, can_ask


async def together(call: Call) -> Reply:
    """Show the cases that belong with one, to be decided by one tap."""
    return await ask_together(call, await find_case(call, call.given.case or 0))


async def ask_together(call: Call, case: CaseView) -> Reply:
    """Ask whether these cases are all decided in the same way."""
    require("decide", call.caller, call.group, call.policy)
    if not can_ask(call):
        raise Refused("error.together.desk", n=case.n)
    waiting = await queries.waiting_cases(call.db, [case.room], queries.MOST_WAITING)
    cases = belonging_with(case, waiting, call.policy)
    if not cases:
        raise Refused("error.together.alone", n=case.n)
    lines = (line("question.together", count=len(cases)), *map(waiting_line, cases), line("question.all"))
    whole = [await queries.case_view(call.db, each.n) for each in cases]
    messages: dict[int, int] = {each.n: len(each.messages) for each in whole if each is not None}
    return asked(call, case, "together", lines, (UPHOLD, DISMISS), messages)


async def decide_all(call: Call, question: queries.Question, key: str) -> Reply | None:
    """Decide the cases of a question. Return None if the reaction means nothing."""
    outcomes: dict[str, Outcome] = {UPHOLD: "upheld", DISMISS: "dismissed"}
    what = outcomes.get(key.replace("\ufe0f", ""))
    if what is None:
        return None
    found = [case for n in question.cases if (case := await queries.case_view(call.db, n)) is not None]
    waiting = [
        case
        for case in found
        if not case.outcome and case.room == call.group.room and len(case.messages) == question.cases[case.n]
    ]
    reason = call.said("dismissal.no-rule") if what == "dismissed" else ""
    setup = call.setup
    facts, _ = await decided_together(
        call.db, setup.knowledge, waiting, what, call.caller, reason, setup.configured, call.now_ms, call.on
    )
    if not facts:
        raise Refused("error.together.nothing")
    done = sum(case.n in {getattr(fact, "n", 0) for fact in facts} for case in waiting)
    lines = [line(f"done.together.{what}", count=done)]
    if kept := len(question.cases) - done:
        lines.append(line("done.together-kept", count=kept))
    return Reply(tuple(lines), facts)


SUBJECT = "cases"
COMMANDS = (Command("together", "manager", "case", together),)
