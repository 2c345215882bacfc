"""Deciding a case, and what else can be done with one: notes, taking it, putting it off.

Rules kept here:
- The first press shows what follows and what its person will be told; the second decides. Both work without a script.
- A form carries the last record of each case that it is about: if a case has moved, nothing is done, and the page shows
  what happened meanwhile.
- A person decides by a command, which the bot takes as said in their direct room. An operator decides as at the
  terminal, under the name given there.
- Several cases are decided together only if they are about one person, one rule and one room.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from aiohttp import web

from bot.console.asking import ask
from bot.console.entering import token_of
from bot.console.preview import Preview, ground_of, preview
from bot.console.visit import Bad, Route, Visit, is_number
from bot.texts.case_card import Card
from moderation.duty.responsibility import FAULTS_OF_DECISIONS
from moderation.model.builtin_rules import TIER_LINKS
from moderation.model.context import CaseView
from moderation.model.facts import Outcome
from moderation.values.access_reasons import says_why
from moderation.values.errors import Refused
from moderation.values.notices import Line
from storage import queries

from .cases import card_of, deciding_as, may_read_words

Way = Literal["uphold", "dismiss"]
WAYS: dict[Way, Outcome] = {"uphold": "upheld", "dismiss": "dismissed"}
Deed = Literal["note", "claim", "later", "ack", "comment", "appeal"]
WITH_WORDS: frozenset[Deed] = frozenset({"note", "comment", "appeal"})
MAX_REASON = 500
MOST_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Pressed:
    """A decision as a form says it: the case, those decided with it, which way, and why."""

    card: Card
    others: tuple[CaseView, ...]
    way: Way
    reason: str
    fault: str
    seen: dict[int, int]  # case -> its last record, when the form was made

    @property
    def case(self) -> CaseView:
        """The case on whose page it was pressed."""
        return self.card.case

    @property
    def cases(self) -> tuple[CaseView, ...]:
        """All cases that it decides."""
        return (self.case, *self.others)


async def decide(visit: Visit) -> web.Response:
    """Show what a decision brings, or, pressed again, make it."""
    pressed = await _pressed(visit)
    for case in pressed.cases:
        if await queries.last_record_of(visit.db, case.n) != pressed.seen[case.n]:
            return await _moved(visit, case, pressed.seen[case.n], pressed.reason)
    if not visit.said("sure"):
        return await _asked_again(visit, pressed)
    for number, case in enumerate(pressed.cases):
        if number and await _is_done(visit, pressed, case):
            continue
        try:
            refused = await _done(visit, pressed, case)
        except Refused as error:
            if error.key == "console.moved":
                return await _moved(visit, case, pressed.seen[case.n], pressed.reason, done=number)
            raise
        if refused:
            return visit.page("refused.html", status=400, case=case, refused=refused, done=number, section="cases")
    return visit.see_other(await _next_page(visit, pressed))


async def do(visit: Visit) -> web.Response:
    """Do something else with a case: a note, taking it, putting it off."""
    card = await card_of(visit)
    deed = next((each for each in get_args(Deed) if each == visit.said("do")), None)
    words = " ".join(visit.said("words").split())
    if deed is None or visit.visitor.kind != "person":
        raise Bad("console.decide.what")
    if deed in WITH_WORDS and not words:
        raise Refused("error.missing.words")
    _must_fit(words)
    refused = await _command(visit, card.case, f"{deed} {card.case.n} {words if deed in WITH_WORDS else ''}", None)
    if refused:
        return visit.page("refused.html", status=400, case=card.case, refused=refused, done=0, section="cases")
    return visit.see_other(f"/cases/{card.case.n}")


# The form.


async def _pressed(visit: Visit) -> Pressed:
    card = await card_of(visit)
    case = card.case
    way = next((each for each in get_args(Way) if each == visit.said("what")), None)
    if way is None or not deciding_as(visit):
        raise Bad("console.decide.what")
    reason = " ".join((visit.said("reason") or visit.said("usual")).split())
    _must_fit(reason)
    if visit.visitor.kind == "operator" and not says_why(reason):
        raise Refused("console.decide.why")
    if way == "dismiss" and case.rule != TIER_LINKS and not reason:
        raise Refused("error.missing.dismissal")
    fault = visit.said("fault") if visit.said("fault") in FAULTS_OF_DECISIONS else ""
    seen = {int(case.n): _number(visit.said("seen"))}
    others = []
    for each in visit.form.getall("also", [])[:MOST_TOGETHER]:
        n, _, record = str(each).partition(":")
        other = await queries.case_view(visit.db, _number(n))
        if other is None or not _belongs(case, other) or other.n in seen:
            raise Bad("console.decide.together_not")
        seen[int(other.n)] = _number(record)
        others.append(other)
    return Pressed(card, tuple(others), way, reason, fault if case.outcome else "", seen)


def _belongs(case: CaseView, other: CaseView) -> bool:
    alike = (case.person, case.rule, case.room) == (other.person, other.rule, other.room)
    return alike and bool(case.subject) and not case.outcome and not other.outcome


def _number(written: str) -> int:
    if not is_number(written):
        raise Bad("console.decide.what")
    return int(written)


def _must_fit(words: str) -> None:
    if len(words) > MAX_REASON:
        raise Refused("error.reason.long", limit=MAX_REASON)


# Pages.


async def _asked_again(visit: Visit, pressed: Pressed) -> web.Response:
    case, by = pressed.case, deciding_as(visit)
    would = preview(await ground_of(visit, pressed.card, by), WAYS[pressed.way], pressed.reason)
    if not await may_read_words(visit, case):
        would = would.without_words
    return visit.page(
        "decide.html",
        status=200 if would.refused is None else 400,
        pressed=pressed,
        case=case,
        would=would,
        reason=pressed.reason,
        go_on="1" if visit.said("next") else "",
        names=await _names(visit, case, would),
        section="cases",
    )


async def _names(visit: Visit, case: CaseView, would: Preview) -> dict[str, str]:
    lines: list[Line] = [*would.follows, *would.told, *([would.refused] if would.refused else [])]
    people = {user for user in (case.subject, case.by) if user}
    return {
        **await visit.names(lines, case.room),
        **await queries.display_names(visit.db, people, [case.room]),
        **await queries.room_names(visit.db, [case.room]),
    }


async def _moved(visit: Visit, case: CaseView, seen: int, reason: str, *, done: int = 0) -> web.Response:
    """Show what happened to a case meanwhile; nothing more is done."""
    async with visit.site.read() as db:  # what the bot has written since this request began
        steps = [step for step in await queries.time_line(db, case.n) if step.record > seen]
        visit = replace(visit, db=db)
        people = {user for step in steps for user in (step.by, step.subject) if user}
        names = await queries.display_names(db, people, [case.room])
    return visit.page(
        "moved.html", status=409, case=case, steps=steps, reason=reason, done=done, names=names, section="cases"
    )


async def _next_page(visit: Visit, pressed: Pressed) -> str:
    """Return the address of the decided case, or of the next that waits, if that was asked for."""
    here = f"/cases/{pressed.case.n}"
    if not visit.said("next"):
        return here
    async with visit.site.read() as db:
        waiting = await queries.queue_page(db, queries.QueueFilter(rooms=visit.rights.only), 1)
    return f"/cases/{waiting.rows[0].n}" if waiting.rows else "/cases"


# Asking the bot.


async def _done(visit: Visit, pressed: Pressed, case: CaseView) -> list[str]:
    """Have the bot decide a case. Return why it refused, in words; nothing if it did."""
    seen = pressed.seen[case.n]
    if visit.visitor.kind == "person":
        return await _command(visit, case, _words(pressed, case), seen)
    await ask(
        visit.site,
        "decide",
        n=case.n,
        what=pressed.way,
        by=visit.operator,
        reader=visit.visitor.by,
        reason=pressed.reason,
        fault=pressed.fault,
        seen=seen,
    )
    return []


async def _is_done(visit: Visit, pressed: Pressed, case: CaseView) -> bool:
    """Tell whether the visitor has decided a case so: a dismissal takes in the others on the same card."""
    async with visit.site.read() as db:
        now = await queries.case_view(db, case.n)
    return now is not None and (now.outcome, now.by) == (WAYS[pressed.way], deciding_as(visit))


def _words(pressed: Pressed, case: CaseView) -> str:
    """Return the command. A reason that begins like the fault of a decider, and is none, is set off from it."""
    first = pressed.reason.partition(" ")[0].lower()
    aside = "– " if first in FAULTS_OF_DECISIONS else ""
    return " ".join(part for part in (pressed.way, str(case.n), pressed.fault, aside + pressed.reason) if part)


async def _command(visit: Visit, case: CaseView, words: str, seen: int | None) -> list[str]:
    room = await queries.room_view(visit.db, case.room, visit.site.bot)
    code = room.code if room is not None else ""
    token = token_of(visit.site, visit.request)
    done = await ask(visit.site, "command", session=token, words=words, group=code, seen=seen)
    return [str(each) for each in done["lines"]] if done["refused"] else []


ROUTES = (
    Route("POST", "/cases/{n}/decide", decide),
    Route("POST", "/cases/{n}/do", do),
)
