"""The course of somebody's credit or standing as a page shows it, with those of their cases that a visitor may see."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from bot.texts.case_card import Card
from bot.texts.credit_lines import CreditShown
from moderation.credit.credit import course
from moderation.duty.responsibility import KNOWN_FOR_MS
from moderation.model.context import CaseView
from moderation.model.facts import Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import TierSettings
from moderation.values.durations import DAY_MS
from storage import queries

from .draw.course import Course, CourseMark, draw_course
from .draw.svg import DrawingWords
from .visit import Visit

PAST_MS = 180 * DAY_MS
_AHEAD_MS = (30 * DAY_MS, 183 * DAY_MS)  # at least and at most


def credit_plot(
    visit: Visit, shown: CreditShown, ledger: Ledger, names: Mapping[str, str], words: DrawingWords
) -> Markup | None:
    """Draw credit or standing; None where it is not shown."""
    found = shown.credit if ledger == "credit" else shown.standing
    if found is None:
        return None
    since, now, top = visit.now_ms - PAST_MS, visit.now_ms, found.settings.ceiling
    steps = course(found.entries, since, now + _AHEAD_MS[1], found.settings)
    until = _until(steps, now, top)
    tiers = _tiers(visit.site.policy.tiers) if ledger == "credit" else ()
    marks = tuple(_marks(visit, found.entries, steps, names))
    drawn = Course(since, now, until, top, steps, marks, tiers)
    return draw_course(drawn, words.text(f"console.person.plot.{ledger}"), words, name=ledger)


def _until(steps: Sequence[tuple[int, int]], now_ms: int, top: int) -> int:
    """Return how far to look ahead: until all points are back."""
    least, most = _AHEAD_MS
    last_ms, points = steps[-1]
    return now_ms + (min(max(last_ms + DAY_MS - now_ms, least), most) if points >= top else most)


def _tiers(tiers: TierSettings) -> tuple[tuple[int, str], ...]:
    return (tiers.a, "A"), (tiers.b, "B"), (tiers.c, "C"), (tiers.d, "D"), (0, "E")


def _marks(
    visit: Visit, entries: Sequence[LedgerEntry], steps: Sequence[tuple[int, int]], names: Mapping[str, str]
) -> Iterator[CourseMark]:
    """Yield a mark for each charge, with a link to its case where the visitor may see that."""
    for entry in entries:
        if entry.entry != "charge" or entry.at_ms < steps[0][0]:
            continue
        left = steps[max(bisect_right(steps, entry.at_ms, key=lambda step: step[0]) - 1, 0)][1]
        rule = visit.site.speech.rule(entry.rule, visit.language, names.get(entry.rule, ""))
        name = visit.site.catalog.text(visit.language, "console.person.mark", n=entry.case or 0, rule=rule)
        may_see = entry.case is not None and (visit.rights.everything or entry.room in visit.rights.rooms)
        yield CourseMark(entry.at_ms, left, name, f"/cases/{entry.case}" if may_see else "")


async def plot_of_case(visit: Visit, card: Card, names: Mapping[str, str]) -> Markup | None:
    """Draw the credit of the person whom a case concerns, in its room.

    None if the visitor has not read the case, which is on record, if they may not ask for it in chat, or if the person
    had their data erased.
    """
    if not card.case.subject or not await _may_ask(visit, card.case):
        return None
    shown = CreditShown(card.person, card.room, visit.site.policy, visit.now_ms)
    return credit_plot(visit, shown, "credit", names, DrawingWords(visit.site.catalog, visit.language))


async def _may_ask(visit: Visit, case: CaseView) -> bool:
    """Tell whether the visitor may ask for somebody's credit in the room of a case."""
    if case.is_about(visit.visitor.user):
        return True
    if not visit.site.readings.is_open(visit.visitor, f"case {case.n}"):
        return False
    if visit.rights.everything:
        return True
    return bool(await queries.rooms_knowing(visit.db, case.subject, [case.room], visit.now_ms - KNOWN_FOR_MS))
