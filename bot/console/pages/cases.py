"""The queue of cases, and one case: what happened, what was said, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from aiohttp import web

from bot.console.credit_plot import plot_of_case
from bot.console.preview import Preview, ground_of, preview
from bot.console.spoken import said_in_case
from bot.console.visit import Route, Visit, is_number
from bot.texts.case_card import Card, note_lines, read_card
from bot.texts.case_context import context_lines
from bot.texts.case_words import word_lines
from bot.texts.dismissal_reasons import usual_reasons
from bot.texts.report_lines import report_lines
from bot.texts.statement import reasons
from moderation.cases.claim import can_be_extended
from moderation.cases.statements import from_json
from moderation.judge.room_rules import compiled
from moderation.model.builtin_rules import ABOUT_NOBODY
from moderation.model.context import CaseView
from moderation.values.errors import Broken
from moderation.values.ids import UserId
from moderation.values.notices import Bracketed, Line
from storage import queries
from storage.queries.case_queue import FACETS, Tab

PAGE = 50  # cases of a list
MOST_ALIKE = 50  # cases about one person that are looked through for those under the same rule
MOST_CHIPS = 12  # of one kind, those with the most cases
_TABS = get_args(Tab)
_SWITCHES = ("is_mine", "is_reported")  # facets that are on or off
_CHOICES = tuple(facet for facet in FACETS if facet not in _SWITCHES)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The messages of a case and around it; `damaged`: the log cannot be read there."""

    words: tuple[Line, ...] = ()
    context: tuple[Line, ...] = ()
    damaged: str = ""


async def queue(visit: Visit) -> web.Response:
    """Show the cases that wait."""
    if visit.rights.everything:
        await visit.site.readings.glance(visit.visitor, "cases", visit.now_ms)
    return await _page(visit, None)


async def case(visit: Visit) -> web.Response:
    """Show one case, beside the queue."""
    card = await card_of(visit)
    if visit.rights.everything:
        await visit.site.readings.glance(visit.visitor, "case", visit.now_ms, case=int(card.case.n))
    return await _page(visit, card)


async def read(visit: Visit) -> web.Response:
    """Take the reason for reading what was said, and show the case."""
    card = await card_of(visit)
    await _open(visit, card.case, visit.said("reason"))
    return visit.see_other(f"/cases/{card.case.n}")


async def card_of(visit: Visit) -> Card:
    """Return the card of the case in the address. Raises `NoPage` unless the visitor may see it."""
    card = await read_card(visit.db, visit.number("n"), visit.now_ms, visit.site.policy, visit.site.bot)
    if card is None or not visit.rights.may_see(card.case.room):
        return visit.seen(None)
    return card


def deciding_as(visit: Visit) -> UserId:
    """Return in whose name the visitor decides; "" if in nobody's."""
    return visit.visitor.user if visit.visitor.kind == "person" else visit.operator


@dataclass(frozen=True, slots=True)
class Deciding:
    """The acts that are open to the visitor: to decide the case, alone or with others, and more."""

    seen: int  # the last record of the case, by which is seen whether it has moved
    upheld: Preview
    dismissed: Preview
    reasons: tuple[str, ...]
    others: tuple[tuple[CaseView, int], ...] = ()  # undecided cases about the same person and rule, with last records
    may_claim: bool = False
    may_put_off: bool = False
    may_find_fault: bool = False

    @property
    def previews(self) -> tuple[Preview, Preview]:
        """Both decisions, the one that the rule was broken first."""
        return self.upheld, self.dismissed

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines in it."""
        refused = [each.refused for each in self.previews if each.refused]
        return (*(line for each in self.previews for line in (*each.follows, *each.told)), *refused)


async def _deciding(visit: Visit, card: Card, opened: bool) -> Deciding | None:
    """Return what the visitor may do; None if they act in nobody's name. `opened`: what was said may be shown."""
    case, site, by = card.case, visit.site, deciding_as(visit)
    if not by:
        return None
    ground = await ground_of(visit, card, by)
    upheld, dismissed = preview(ground, "upheld"), preview(ground, "dismissed")
    may = upheld.refused is None or dismissed.refused is None
    is_person = visit.visitor.kind == "person"
    spoken = await queries.room_language(visit.db, case.room)  # reasons are told to people there
    return Deciding(
        seen=await queries.last_record_of(visit.db, case.n),
        upheld=upheld if opened else upheld.without_words,
        dismissed=dismissed if opened else dismissed.without_words,
        reasons=usual_reasons(site.policy, spoken or site.config.bot.language),
        others=await _alike(visit, case) if may and case.subject and not case.outcome else (),
        may_claim=may and is_person and case.waits and case.claimed != by,
        may_put_off=may and is_person and can_be_extended(case, site.policy, visit.now_ms),
        may_find_fault=may and bool(case.outcome and case.by) and not case.was_decided_by(by),
    )


async def _alike(visit: Visit, case: CaseView) -> tuple[tuple[CaseView, int], ...]:
    found = await queries.cases_of(visit.db, case.subject, case.room, MOST_ALIKE)
    alike = [each for each in found if each.n != case.n and each.rule == case.rule and not each.outcome]
    return tuple([(each, await queries.last_record_of(visit.db, each.n)) for each in alike])


async def _page(visit: Visit, card: Card | None) -> web.Response:
    wanted = await _wanted(visit)
    page = await queries.queue_page(visit.db, wanted, PAGE, _after(visit))
    counts = await queries.queue_counts(visit.db, wanted)
    fields: dict[str, Any] = {"card": card, "page": page, "wanted": wanted, "section": "cases"}
    fields["about_nobody"] = ABOUT_NOBODY
    users = {row.subject for row in page.rows}
    rooms: set[str] = {row.room for row in page.rows} | {*counts.of["room"]}
    lines: list[Line] = []
    if card is not None:
        shown = await _shown(visit, card)
        fields |= shown
        lines = [each for part in shown.values() if isinstance(part, tuple) for each in part if isinstance(each, Line)]
        users |= {
            card.case.subject,
            card.case.claimed,
            card.case.by,
            *card.assigned,
            *(step.by for step in shown["steps"]),
        } - {""}
        rooms.add(card.case.room)
    names = {
        **await visit.names(lines, *sorted(rooms)),
        **await queries.room_names(visit.db, rooms),
        **await queries.display_names(visit.db, users, sorted(rooms)),
    }
    fields["credit_plot"] = await plot_of_case(visit, card, names) if card is not None else None
    opened = bool(fields.get("evidence"))
    json: Any = [_listed(row).as_json() for row in page.rows]
    if card is not None and visit.wants_json:
        json = await _case_json(visit, card.case.n, opened=opened)
    chips, tabs = _chips(visit, wanted, counts), [(tab, _address({"tab": tab})) for tab in _TABS]
    heard = await visit.last_heard()
    further = _address({**_asked(visit), "after": f"{page.next.at}-{page.next.n}"}) if page.next else ""
    return visit.page(
        "cases.html",
        names=names,
        counts=counts,
        chips=chips,
        tabs=tabs,
        further=further,
        query=_asked(visit),
        silent=heard if visit.is_silent(heard) else None,
        json=json,
        **fields,
    )


async def _wanted(visit: Visit) -> queries.QueueFilter:
    user = visit.visitor.user
    tab = visit.said("tab")
    return queries.QueueFilter(
        rooms=visit.rights.only,
        accounts=tuple(await queries.accounts_of(visit.db, user)) if user else (),
        tab=next((each for each in _TABS if each == tab), "waiting"),
        is_mine=visit.said("is_mine") == "1",
        is_reported=visit.said("is_reported") == "1",
        **{facet: visit.said(facet)[:255] for facet in _CHOICES},
    )


def _asked(visit: Visit) -> dict[str, str]:
    """Return what the address asks of the list."""
    return {name: said for name in ("tab", *FACETS) if (said := visit.request.query.get(name, ""))}


def _address(query: Mapping[str, str]) -> str:
    return f"/cases?{urlencode(query)}" if query else "/cases"


def _after(visit: Visit) -> queries.Cursor | None:
    at, _, n = visit.said("after").partition("-")
    return queries.Cursor(int(at), int(n)) if is_number(at) and is_number(n) else None


@dataclass(frozen=True, slots=True)
class Chip:
    """A choice of the filter: how many cases it would show, and where it leads; chosen, it leads back."""

    facet: str
    value: str
    count: int
    address: str
    is_chosen: bool


def _chips(visit: Visit, wanted: queries.QueueFilter, counts: queries.QueueCounts) -> list[Chip]:
    chips = []
    for facet in FACETS:
        values = {"1": counts.of[facet].get(True, 0)} if facet in _SWITCHES else counts.of[facet]
        now = ("1" if getattr(wanted, facet) else "") if facet in _SWITCHES else getattr(wanted, facet)
        ranked = sorted(values.items(), key=lambda each: (-each[1], str(each[0])))
        for value, count in [*ranked[:MOST_CHIPS], *(each for each in ranked[MOST_CHIPS:] if each[0] == now)]:
            if (count and len(values) > 1) or (facet in _SWITCHES and count) or value == now:
                query = {**_asked(visit), facet: str(value)}
                if value == now:
                    del query[facet]
                chips.append(Chip(facet, str(value), count, _address(query), value == now))
    return chips


def _is_own(visit: Visit, case: CaseView) -> bool:
    return visit.visitor.kind == "person" and case.is_about(visit.visitor.user)


async def may_read_words(visit: Visit, case: CaseView) -> bool:
    """Tell whether what was said may be shown; that a manager reads it is noted, an operator has to say why first."""
    if _is_own(visit, case):
        return True
    if visit.visitor.kind == "person":
        await _open(visit, case)
    return visit.site.readings.is_open(visit.visitor, f"case {case.n}")


async def _shown(visit: Visit, card: Card) -> dict[str, Any]:
    case, own, opened = card.case, _is_own(visit, card.case), await may_read_words(visit, card.case)
    evidence = await _evidence(visit, card) if opened else None
    reports = await queries.reports_of(visit.db, case.n)
    given = [from_json(each) for each in await queries.statements_of(visit.db, case.n)]
    statements = tuple(tuple(reasons(each, case.room)) for each in given if each and opened)
    deciding = await _deciding(visit, card, opened)
    return {
        "deciding": deciding,
        "may_comment": own and not case.outcome,
        "in_deciding": deciding.lines if deciding else (),
        "evidence": evidence,
        "words": evidence.words if evidence else (),
        "context": evidence.context if evidence else (),
        "reports": report_lines(reports, names=False, words=opened and not own),
        "notes": note_lines(card) if opened else (),
        "steps": await queries.time_line(visit.db, case.n),
        "if_upheld": _flat(card.outcomes.upheld),
        "if_dismissed": _flat(card.outcomes.dismissed),
        "statements": statements,
        "in_statements": tuple(line for each in statements for line in each),
    }


def _flat(outcomes: Bracketed) -> tuple[Line, ...]:
    return tuple(outcomes.lines)


async def _open(visit: Visit, case: CaseView, reason: str = "") -> None:
    await visit.site.readings.open(
        visit.visitor, f"case {case.n}", visit.now_ms, reason=reason, about={"what": "console", "case": int(case.n)}
    )


async def _evidence(visit: Visit, card: Card) -> Evidence:
    site, case = visit.site, card.case
    rules = (*site.rules, *(compiled(card.room.rules, site.policy) if card.room else ()))
    try:
        said = await said_in_case(visit.db, site.log, case, site.bot)
    except Broken as error:
        return Evidence(damaged=str(error))
    return Evidence(
        words=await word_lines(visit.db, case, said, rules, site.bot),
        context=await context_lines(visit.db, case, said, site.bot),
    )


def _listed(row: queries.QueueRow) -> queries.ListedCase:
    shown = (row.subject, row.rule, row.grade, row.state, row.outcome, row.opened, row.due, row.decided)
    return queries.ListedCase(row.n, row.code, *shown)


async def _case_json(visit: Visit, n: int, *, opened: bool) -> dict[str, Any]:
    """Return a case as the terminal gives it; unless it is `opened`, without what the decider wrote."""
    case = visit.seen(await queries.whole_case(visit.db, n)).as_json()
    return case if opened else {**case, "reason": ""}


ROUTES = (
    Route("GET", "/cases", queue, menu="cases"),
    Route("GET", "/cases/{n}", case),
    Route("POST", "/cases/{n}/read", read),
)
