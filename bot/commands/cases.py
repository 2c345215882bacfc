"""cases, case, ack, note, uphold, dismiss, why, appeal: show and decide cases, by command or by reaction on a card."""

from collections.abc import Iterator

from bot.texts.case_card import card_lines, note_lines, past_line, read_card, waiting_line
from bot.texts.case_context import context_lines
from bot.texts.case_words import word_lines
from bot.texts.report_lines import reads_along, report_lines
from bot.texts.statement import reasons
from moderation.cases.appeals import is_open_to_appeal, lodge
from moderation.cases.card_reactions import CLAIM, DISMISSALS, LATER, MORE, TOGETHER, UPHOLD
from moderation.cases.decide import acknowledge, decide
from moderation.cases.neglect import FAULTS, neglect_facts
from moderation.cases.statements import from_json
from moderation.duty.responsibility import FAULTS_OF_DECISIONS, is_manager, is_operator, require, require_fault
from moderation.judge.room_rules import compiled
from moderation.model.builtin_rules import TIER_LINKS
from moderation.model.context import CaseView
from moderation.model.facts import CaseNoted, Fact, Outcome
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, RuleText, Who, line
from storage import queries

from .claim import put_off, taken
from .decide_together import others_dismissed
from .find_case import any_case, find_case, find_order
from .invocation import Call, Command, Reply, discreet
from .questions import ask_reason, can_ask, chosen_reason
from .reading import looked_at
from .rights import manages, may_read_here, must_manage
from .together import ask_together, decide_all

MAX_CASES = 20
MAX_STATEMENTS = 3  # the newest of a case


async def cases(call: Call) -> Reply:
    """List the waiting cases by deadline.

    Those of this room, or of all rooms of this desk; in a direct message those of all rooms the caller answers for.
    With the number of a case on a common card: that case and those after it on the card, decided or not.
    """
    if call.given.case is not None:
        return Reply(tuple(await _of_burst(call, call.given.case)), private=True)
    rooms = await _rooms(call)
    found = await queries.waiting_cases(call.db, rooms, MAX_CASES + 1)
    if not found:
        return Reply((line("cases.none-anywhere"),) if len(rooms) != 1 else (_none(rooms[0]),), private=True)
    head = line("cases.head-all", count=len(rooms)) if len(rooms) != 1 else _head(rooms[0], len(found))
    lines = [head, *(waiting_line(each, several=len(rooms) != 1) for each in found[:MAX_CASES])]
    if len(found) > MAX_CASES:
        lines.append(line("cases.more", limit=MAX_CASES))
    return Reply(tuple(lines), private=True)


async def _of_burst(call: Call, n: int) -> list[Line]:
    first = await queries.case_view(call.db, n)
    room = await call.setup.knowledge.room(call.db, first.room) if first else None
    if first is None or room is None or not await manages(call, room) or not await _may_read(call, room.room):
        raise Refused("error.case.none", n=n)
    if not first.burst:
        raise Refused("error.case.alone", n=n)
    found = await queries.cases_of_burst(call.db, first.burst, n, MAX_CASES + 1)
    lines = [line("cases.burst", room=RoomName(room.room)), *map(past_line, found[:MAX_CASES])]
    if len(found) > MAX_CASES:
        lines.append(line("cases.burst-more", more=Code(f"{call.setup.prefix}cases {found[-1].n}")))
    return lines


async def _may_read(call: Call, room: RoomId) -> bool:
    """Tell whether everybody who reads the answer may read of a room."""
    if call.here.purpose == "desk":
        return await may_read_here(call, room)
    return call.here.purpose != "group" or call.here.room == room


async def _rooms(call: Call) -> list[RoomId]:
    """Return the room meant, else all rooms that the caller answers for."""
    if call.group.purpose == "group":
        await must_manage(call, call.group)
        return [call.group.room]
    if is_operator(call.caller, call.policy) and call.here.purpose != "desk":
        return list(await queries.active_groups(call.db))
    runs = await queries.answers_for(call.db, call.caller)
    if call.here.purpose == "desk":  # the others may not read of more rooms than these
        runs = tuple([room for room in runs if await may_read_here(call, room)])
    known = [await call.setup.knowledge.room(call.db, room) for room in runs]
    rooms = sorted(room.room for room in known if room and is_manager(call.caller, room, call.policy))
    if not rooms:
        raise Refused("error.right.manager-nowhere")
    return rooms


def _none(room: RoomId) -> Line:
    return line("cases.none", room=RoomName(room))


def _head(room: RoomId, count: int) -> Line:
    return line("cases.head", room=RoomName(room), count=min(count, MAX_CASES))


async def case(call: Call) -> Reply:
    """Show all that is known of one case."""
    require("decide", call.caller, call.group, call.policy)
    n = call.given.case or 0
    if (order := await find_order(call, n)) is not None:
        return Reply(tuple(_of_order(order)), await looked_at(call, order.subject, "case", n), private=True)
    found = await find_case(call, n)
    card = await read_card(call.db, found.n, call.now_ms, call.setup.configured, call.setup.bot)
    assert card is not None
    rules = (*call.setup.rules, *compiled(call.group.rules, call.setup.configured))
    words = await word_lines(call.db, found, call.setup.said_at, rules, call.setup.bot)
    hides = await _hides_reports(call, found)
    reported = await _reported(call, found, hides=hides)
    lines = card_lines(card, call.policy, call.now_ms, call.setup.prefix, words=words, reported=reported, hides=hides)
    read = await looked_at(call, found.subject, "case", found.n)
    return Reply((*lines, *note_lines(card)), read, private=True)


def _of_order(found: CaseView) -> Iterator[Line]:
    """Yield what the managers of a room read of an order that somebody gave for it in another room."""
    yield line("everywhere.case", n=found.n, who=Who(found.subject), when=Moment(found.opened))
    yield line("everywhere.case-decided", by=Who(found.by), outcome=Phrase(f"state.{found.outcome}"))
    if found.reason:
        yield line("notice.reason", reason=found.reason)
    yield line("everywhere.case-next")


async def ack(call: Call) -> Reply:
    """Say that the caller has seen a case. The deadline stays."""
    found = await find_case(call, call.given.case or 0)
    return Reply((line("done.ack", n=found.n),), acknowledge(found, call.caller, call.group, call.policy, on=call.on))


async def note(call: Call) -> Reply:
    """Leave a note on a case for those who handle it."""
    found = await find_case(call, call.given.case or 0)
    if found.is_about(call.caller):
        raise Refused("error.case.own", n=found.n)
    if not call.given.reason.strip():
        raise Refused("error.missing.words")
    noted = CaseNoted(room=found.room, on=call.on, n=found.n, by=call.caller, words=call.given.reason)
    answer = () if call.here.purpose == "desk" else (line("done.note", n=found.n),)
    return Reply(answer, (noted,), private=True)


async def _reported(call: Call, found: CaseView, *, hides: bool) -> tuple[Line, ...]:
    """Return the lines about the reports.

    Reporters are named only to a person who handles the case and asks in private: others may read the desk later.
    """
    names = not found.is_about(call.caller) and call.here.purpose != "desk"
    return report_lines(await queries.reports_of(call.db, found.n), names=names, words=not hides)


async def _hides_reports(call: Call, found: CaseView) -> bool:
    """Tell whether to hide what reporters wrote, since the person concerned asks, or can read along."""
    desk = call.here.room if call.here.purpose == "desk" else None
    return (found.is_about(call.caller) and found.waits) or await reads_along(call.db, found, desk)


async def uphold(call: Call) -> Reply:
    """Decide that the rule was broken."""
    return await _decide(call, "upheld")


async def dismiss(call: Call) -> Reply:
    """Decide that the rule was not broken."""
    return await _decide(call, "dismissed")


async def why(call: Call) -> Reply:
    """Say what was decided about the caller, and why.

    It is the newest case, or the one named; or what became of a report of theirs.
    """
    n = call.given.case or await queries.newest_case_of(call.db, call.caller)
    if not n:
        return Reply((line("why.none"),), private=True)
    found = await queries.case_view(call.db, n)
    if found is not None and found.is_about(call.caller):
        return Reply(await _statement(call, found), private=True)
    if found is None or call.caller not in await _reporters(call, n):
        raise Refused("error.case.none", n=n)
    return discreet(call, Reply(_of_report(call, found)))


async def _reporters(call: Call, n: int) -> frozenset[UserId]:
    """Return all accounts of those who reported a case."""
    users = await queries.reporters_of(call.db, n)
    people = await queries.accounts_of_all(call.db, users)
    return frozenset(account for accounts in people.values() for account in accounts)


def _of_report(call: Call, found: CaseView) -> tuple[Line, ...]:
    """Say what became of a report, and why.

    What was done about it stays between the managers and the person it is about.
    """
    room = RoomName(found.room)
    if not found.outcome:
        waits = line("report.waiting-until", n=found.n, room=room, due=Moment(found.due))
        return (waits if found.due else line("report.waiting", n=found.n, room=room),)
    lines = [line(f"report.became.{found.outcome}", n=found.n, room=room, when=Moment(found.decided))]
    if found.outcome == "dismissed" and found.reason:
        lines.append(line("notice.reason", reason=found.reason))
    if found.state == "appealed":
        lines.append(line("report.looked-at-again", due=Moment(found.due)))
    elif found.outcome == "dismissed" and found.state == "decided":
        until = found.decided + call.policy.cases.appeal_within
        if call.now_ms <= until:
            lines.append(line("report.can-appeal", n=found.n, until=Moment(until)))
    return tuple(lines)


async def appeal(call: Call) -> Reply:
    """Ask for another look at a decision about the caller, or at the dismissal of their report.

    Also open to those who are muted, removed or banned.
    """
    found = await any_case(call, call.given.case or 0)
    facts = lodge(
        found,
        by=call.caller,
        words=call.given.reason,
        now_ms=call.now_ms,
        policy=call.policy,
        on=call.on,
        reporters=await _reporters(call, found.n),
    )
    if facts[0].report:
        return discreet(call, Reply((), facts))
    return Reply((), facts, call.gone(), private=True)


async def pressed(call: Call, n: int, key: str) -> Reply | None:
    """Act on a reaction on a card. Return None if it means nothing."""
    key = key.replace("\ufe0f", "")  # some clients add a variation selector
    found = await find_case(call, n)
    if found.rule == TIER_LINKS and (key == UPHOLD or key in DISMISSALS):
        return await _decide(call, "dismissed" if key == UPHOLD else "upheld", n)  # "yes": allowed
    if key == UPHOLD:
        return await _decide(call, "upheld", n)
    if key in DISMISSALS:
        return await _decide(call, "dismissed", n, common=call.said(f"dismissal.{DISMISSALS[key]}"))
    if key == CLAIM:
        return await taken(call, found)
    if key == LATER:
        return put_off(call, found)
    if key == TOGETHER:
        return await ask_together(call, found)
    if key != MORE:
        return None
    require("decide", call.caller, call.group, call.policy)
    seen = found.state == "open" and not found.is_about(call.caller)
    facts = acknowledge(found, call.caller, call.group, call.policy, on=call.on) if seen else ()
    lines = await context_lines(call.db, found, call.setup.said_at, call.setup.bot)
    return Reply(lines, (*facts, *await looked_at(call, found.subject, "history", n)))


async def answered(call: Call, question: queries.Question, key: str) -> Reply | None:
    """Act on a reaction on a question of the bot. Return None if it means nothing."""
    if question.what == "together":
        return await decide_all(call, question, key)
    reason = chosen_reason(call, key)
    return await _decide(call, "dismissed", question.n, common=reason) if reason else None


async def _decide(call: Call, what: Outcome, n: int = 0, *, common: str = "") -> Reply:
    found = await find_case(call, n or call.given.case or 0)
    fault, reason = ("", common) if common else _fault(call.given.reason)
    facts = decide(
        found,
        what,
        by=call.caller,
        reason=reason,
        context=await call.context(found.subject),
        policy=await queries.policy_for(call.db, call.setup.configured, call.group, found.rule),
        on=call.on,
    )
    if what == "dismissed" and not found.outcome:
        facts += await others_dismissed(call.db, call.setup.knowledge, found, facts, call.setup.configured, call.now_ms)
    if what == "dismissed" and found.rule != TIER_LINKS and not reason.strip():
        if can_ask(call) and not fault:
            return ask_reason(call, found)
        raise Refused("error.missing.dismissal")
    if fault:
        facts = (*facts, *await _wrongly_decided(call, found, fault, reason))
    if found.server:
        return Reply((line(f"decided.server.{what}", n=found.n, server=Code(found.server)),), facts)
    if not found.subject:
        return Reply((line(f"decided.room.{what}", n=found.n),), facts)
    key = f"decided.waited.{what}" if found.rule == TIER_LINKS else f"decided.{what}"
    return Reply((line(key, n=found.n, who=Who(found.subject)),), facts)


def _fault(reason: str) -> tuple[str, str]:
    """Split a reason into the fault of the decision being reversed, if one is named, and the rest.

    The fault is ``error`` or ``bad-faith``; "" if none is named.
    """
    word, _, rest = reason.partition(" ")
    return (word.lower(), rest.strip()) if word.lower() in FAULTS_OF_DECISIONS else ("", reason)


async def _wrongly_decided(call: Call, found: CaseView, fault: str, reason: str) -> tuple[Fact, ...]:
    """Return what the reversed decision costs the person who made it."""
    require_fault(fault, found, call.caller, call.group, call.policy)
    return neglect_facts(
        await call.context(found.by),
        FAULTS[fault],
        n=call.setup.knowledge.next_case,
        about=found.n,
        policy=call.policy,
        on=call.on,
        by=call.caller,
        reason=reason,
    )


async def _statement(call: Call, found: CaseView) -> tuple[Line, ...]:
    """Return the statements of reasons, without what an earlier one says already; if there are none, what is known."""
    kept = [from_json(text) for text in await queries.statements_of(call.db, found.n)]
    lines: list[Line] = []
    for each in (one for stated in kept[-MAX_STATEMENTS:] if stated for one in reasons(stated, found.room)):
        if each not in lines and not (found.outcome and each.key == "statement.interim"):
            lines.append(each)
    if not lines:
        lines = [line("why.open-case", n=found.n, room=RoomName(found.room), rule=RuleText(found.rule))]
    return (*lines, *_next(call, found))


def _next(call: Call, found: CaseView) -> Iterator[Line]:
    """Yield what the person whom a case concerns can do at this moment, or what they wait for."""
    if found.state == "appealed":
        yield line("why.appealed", due=Moment(found.due))
    elif found.waits:
        if found.due:
            yield line("why.open", due=Moment(found.due))
        yield line("notice.comment", n=found.n)
    elif is_open_to_appeal(found, call.policy, call.now_ms):
        yield line("statement.appeal", n=found.n, until=Moment(found.decided + call.policy.cases.appeal_within))


SUBJECT = "cases"
COMMANDS = (
    Command("why", "everyone", "case?", why, anywhere=True, first=True),
    Command("appeal", "everyone", "case reason*", appeal, anywhere=True, first=True),
    Command("cases", "manager", "case?", cases, anywhere=True, first=True),
    Command("case", "manager", "case", case),
    Command("ack", "manager", "case", ack),
    Command("note", "manager", "case reason*", note),
    Command("uphold", "manager", "case reason*", uphold, first=True),
    Command("dismiss", "manager", "case reason*", dismiss, first=True),
)
