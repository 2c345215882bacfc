"""The people: a list with a box to jump from, and one person: credit, measures, cases, rooms, and who looked.

Rules kept here:
- Managers see of a person what chat shows them of people who are, or lately were, in their rooms: `!credit` and
  `!history`. Of anybody else they are told the same as of an id that nobody has.
- A look at somebody else is noted as one at the terminal or in chat is, before anything is shown.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from markupsafe import Markup

from bot.console.draw.axes import day_name
from bot.console.draw.course import Course, CourseMark, draw_course
from bot.console.draw.svg import DrawingWords
from bot.console.render import path_of
from bot.console.visit import Bad, Route, Visit
from bot.texts.credit_lines import CreditShown, entry_lines, now_lines, sanction_line, standing_lines
from bot.texts.names import rules_in_words
from moderation.credit.credit import course
from moderation.credit.ledger import account
from moderation.duty.responsibility import KNOWN_FOR_MS
from moderation.model.context import PersonView, RoomView, VerificationInForce
from moderation.model.facts import Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.model.reach import Spot
from moderation.policy import TierSettings
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line
from storage import queries
from storage.queries import QueuePage, ReadingOf, RoomOfPerson

PAGE = 50  # people of a list
MOST_CASES, MOST_READINGS = 50, 50
LONGEST_WORDS = 255  # of a Matrix id
PAST_MS = 180 * DAY_MS  # of a course; readings are listed for as long
_AHEAD_MS = (30 * DAY_MS, 183 * DAY_MS)  # at least and at most


@dataclass(frozen=True, slots=True)
class ShownPersonHere:
    """All that a visitor may see of somebody. `room`: where their credit is shown; None: everywhere."""

    view: PersonView
    room: RoomView | None
    credit: CreditShown
    rooms: Sequence[RoomOfPerson]
    cases: QueuePage
    proofs: Sequence[VerificationInForce]
    level: int
    readings: Sequence[ReadingOf] | None  # None: not shown

    @property
    def is_known(self) -> bool:
        """Whether anything is kept about them."""
        view = self.view
        held = (view.entries, view.standing, view.in_force, view.proofs, self.rooms, self.cases.rows, self.readings)
        return any(held) or len(view.accounts) > 1


async def people(visit: Visit) -> web.Response:
    """List people, or jump to the one whose id was typed."""
    words = visit.said("q")[:LONGEST_WORDS]
    if words.startswith("@") and ":" in words:
        return visit.see_other(path_of("people", words))
    if visit.visitor.kind == "operator":
        await visit.site.readings.glance(visit.visitor, "members", visit.now_ms)
    found = await queries.people_found(visit.db, visit.rights.only, words, PAGE + 1, visit.said("after"))
    shown = found[:PAGE]
    return visit.page(
        "people.html",
        section="people",
        people=shown,
        words=words,
        after=shown[-1].user if len(found) > PAGE else "",
        names={each.user: each.display_name for each in shown},
        json=[asdict(each) for each in shown],
    )


async def person(visit: Visit) -> web.Response:
    """Show one person."""
    user = UserId(visit.request.match_info["user"][:LONGEST_WORDS])
    rooms = await _rooms_known(visit, user)
    shown = await _shown(visit, user, rooms)
    if not shown.is_known:
        raise Bad("console.person.nothing", 404)
    if visit.visitor.kind == "operator" or not shown.view.is_(visit.visitor.user):
        await visit.site.readings.glance(visit.visitor, "credit", visit.now_ms, person=user)
    words = DrawingWords(visit.site.catalog, visit.language)
    parts: dict[str, Any] = _parts(shown)
    lines = [each for part in parts.values() for each in part]
    near = [shown.room.room] if shown.room else [each.room for each in shown.rooms]
    names = {
        **await visit.names(lines, *near),
        **await rules_in_words(visit.db, {row.rule for row in shown.cases.rows}, visit.language, near),
        **await queries.display_names(visit.db, [user], [each.room for each in shown.rooms]),
    }
    return visit.page(
        "person.html",
        section="people",
        shown=shown,
        names=names,
        everywhere=_balance(visit, shown, None),
        balances={each.room: _balance(visit, shown, Spot(each.room, each.community)) for each in shown.rooms},
        credit_plot=_plot(visit, shown, "credit", names, words),
        standing_plot=_plot(visit, shown, "standing", names, words),
        readings=[(day_name(each.day * DAY_MS, words), each) for each in shown.readings or ()],
        tells_accounts=visit.visitor.kind == "operator",
        json=_json(shown, visit.now_ms),
        **parts,
    )


async def _rooms_known(visit: Visit, user: UserId) -> frozenset[RoomId] | None:
    """Return the visitor's rooms that know somebody (None: all rooms). Raises `Bad` if none does, and it is another."""
    only = visit.rights.only
    if only is None:
        return None
    rooms = await queries.rooms_knowing(visit.db, user, only, visit.now_ms - KNOWN_FOR_MS)
    if not rooms:
        raise Bad("console.person.nothing", 404)
    return rooms


async def _shown(visit: Visit, user: UserId, rooms: frozenset[RoomId] | None) -> ShownPersonHere:
    db, now = visit.db, visit.now_ms
    view = await queries.person_view(db, user, now_ms=now, recent_since=now)
    everything = rooms is None
    theirs = await queries.rooms_of_person(db, sorted(view.accounts) if everything else [user], rooms)
    room = await _room(visit, theirs, rooms)
    own = everything or user == visit.visitor.user
    proofs = [each for each in view.proofs if each.until > now and (room is None or each.counts(room))]
    return ShownPersonHere(
        view=view,
        room=room,
        credit=CreditShown(view, room, visit.site.policy, now, own=own),
        rooms=theirs,
        cases=await queries.cases_of_person(db, user, rooms, MOST_CASES),
        proofs=proofs if everything else (),
        level=max((each.level for each in proofs), default=0),
        readings=await queries.readings_of(db, sorted(view.accounts), now - PAST_MS, MOST_READINGS)
        if everything
        else None,
    )


async def _room(visit: Visit, theirs: Sequence[RoomOfPerson], rooms: frozenset[RoomId] | None) -> RoomView | None:
    """Return the room that was asked for. Without one: for managers the first they share, for operators none."""
    asked = visit.said("room")
    codes = {str(each.code): each.room for each in theirs}
    if asked and asked not in codes:
        raise Bad("console.person.nothing", 404)
    chosen = codes[asked] if asked else next(iter(codes.values()), None) if rooms is not None else None
    if chosen is None and rooms:
        chosen = min(rooms)
    return await queries.room_view(visit.db, chosen, visit.site.bot) if chosen is not None else None


def _parts(shown: ShownPersonHere) -> dict[str, Sequence[Line]]:
    """Return what chat shows, in parts."""
    credit = shown.credit
    return {
        "now": tuple(now_lines(credit)),
        "in_force": tuple(sanction_line(each.kind, each.until) for each in credit.in_force),
        "entries": tuple(entry_lines("credit", credit.credit.entries)),
        "standing": tuple(standing_lines(credit)),
    }


def _balance(visit: Visit, shown: ShownPersonHere, place: Spot | None) -> int:
    """Return the credit that counts in one place."""
    return account(shown.view, "credit", place, visit.site.policy).balance(visit.now_ms)


# The plot.


def _plot(
    visit: Visit, shown: ShownPersonHere, ledger: Ledger, names: Mapping[str, str], words: DrawingWords
) -> Markup | None:
    """Draw credit or standing; None where it is not shown."""
    found = shown.credit.credit if ledger == "credit" else shown.credit.standing
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


def _json(shown: ShownPersonHere, now_ms: int) -> dict[str, Any]:
    credit, view = shown.credit, shown.view
    return {
        "user": view.user,
        "room": shown.room.code if shown.room else None,
        "credit": credit.credit.balance(now_ms),
        "standing": credit.standing.balance(now_ms) if credit.standing else None,
        "in_force": [{"kind": each.kind, "until": each.until, "case": each.n or None} for each in credit.in_force],
        "entries": [
            {"at": each.at_ms, "entry": each.entry, "cost": each.cost, "rule": each.rule, "case": each.case}
            for each in credit.credit.entries
        ],
        "rooms": [asdict(each) for each in shown.rooms],
        "cases": [
            {"n": row.n, "room": row.code, "rule": row.rule, "class": row.grade, "state": row.state,
             "outcome": row.outcome, "opened": row.opened}
            for row in shown.cases.rows
        ],
        "verified": shown.level,
    }  # fmt: skip


ROUTES = (
    Route("GET", "/people", people, menu="people"),
    Route("GET", "/people/{user}", person),
)
