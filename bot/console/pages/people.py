"""The people: a list with a box to jump from, and one person: credit, measures, cases, rooms, and who looked.

Rules kept here:
- Managers see of a person what chat shows them of people who are, or lately were, in their rooms: `!credit` and
  `!history`. Of anybody else they are told the same as of an id that nobody has.
- A look at somebody else is noted as one at the terminal or in chat is, before anything is shown.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from bot.console.credit_plot import PAST_MS, credit_plot
from bot.console.draw.axes import day_name
from bot.console.draw.svg import DrawingWords
from bot.console.render import path_of
from bot.console.visit import Bad, Route, Visit
from bot.texts.credit_lines import CreditShown, entry_lines, now_lines, sanction_line, standing_lines
from bot.texts.names import rules_in_words
from moderation.credit.ledger import account
from moderation.credit.overview import overview, overview_in
from moderation.duty.responsibility import KNOWN_FOR_MS
from moderation.model.context import PersonView, RoomView, VerificationInForce
from moderation.model.reach import Spot
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line
from storage import queries
from storage.queries import QueuePage, ReadingOf, RoomOfPerson

PAGE = 50  # people of a list
MOST_CASES, MOST_READINGS = 50, 50
LONGEST_WORDS = 255  # of a Matrix id


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
        """True if anything is kept about them."""
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
    room = await _room_asked(visit)
    rooms = visit.rights.only if room is None else [room.room]
    found = await queries.people_found(visit.db, rooms, words, PAGE + 1, visit.said("after"))
    shown = found[:PAGE]
    return visit.page(
        "people.html",
        section="people",
        people=shown,
        room=room,
        words=words,
        after=shown[-1].user if len(found) > PAGE else "",
        names={each.user: each.display_name for each in shown},
        json=[asdict(each) for each in shown],
    )


async def _room_asked(visit: Visit) -> RoomView | None:
    """Return the room whose people are asked for; None: those of all that the visitor may see. Raises `NoPage`."""
    code = visit.said("room")
    if not code:
        return None
    room = visit.seen(await queries.room_by_code(visit.db, code, visit.site.bot))
    return visit.seen(room if room.purpose == "group" and visit.rights.may_see(room.room) else None)


async def person(visit: Visit) -> web.Response:
    """Show one person."""
    user = UserId(visit.request.match_info["user"][:LONGEST_WORDS])
    rooms = await _rooms_known(visit, user)
    shown = await _shown(visit, user, rooms)
    if not shown.is_known:
        raise Bad("console.person.nothing" if rooms is not None else "console.person.nothing-at-all", 404)
    if visit.visitor.kind == "operator" or not shown.view.is_(visit.visitor.user):
        await visit.site.readings.glance(visit.visitor, "credit", visit.now_ms, person=user)
    words = DrawingWords(visit.site.catalog, visit.language)
    parts: dict[str, Any] = _parts(shown)
    lines = [each for part in parts.values() for each in part]
    near = [shown.room.room] if shown.room else [each.room for each in shown.rooms]
    names = {
        **await visit.names(lines, *near),
        **await rules_in_words(visit.db, _rules(shown), visit.language, near),
        **await queries.display_names(visit.db, [user], [each.room for each in shown.rooms]),
    }
    return visit.page(
        "person.html",
        section="people",
        shown=shown,
        names=names,
        everywhere=_balance(visit, shown, None),
        balances={each.room: _balance(visit, shown, Spot(each.room, each.community)) for each in shown.rooms},
        credit_plot=credit_plot(visit, shown.credit, "credit", names, words),
        standing_plot=credit_plot(visit, shown.credit, "standing", names, words),
        readings=[(day_name(each.day * DAY_MS, words), each) for each in shown.readings or ()],
        tells_accounts=visit.visitor.kind == "operator",
        json=_json(visit, shown) if visit.wants_json else None,
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
    """Return the room that was asked for, by its code or id.

    Without one: for managers the first they share, for operators none.
    """
    asked = visit.said("room")
    codes = {name: each.room for each in theirs for name in (str(each.code), str(each.room))}
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


def _rules(shown: ShownPersonHere) -> set[str]:
    """Return the rules that the page names."""
    standing = shown.credit.standing
    entries = (*shown.credit.credit.entries, *(standing.entries if standing else ()))
    return {each.rule for each in entries} | {row.rule for row in shown.cases.rows}


def _json(visit: Visit, shown: ShownPersonHere) -> dict[str, Any]:
    """Return what `answerable credit PERSON --json` does, as far as the visitor may see it, and what else is shown."""
    credit, view, room = shown.credit, shown.view, shown.room
    policy, now_ms = visit.site.policy, visit.now_ms
    if visit.rights.everything and room is None:
        found = overview(view, "credit", policy, now_ms)
    else:
        found = overview_in(view, "credit", room, policy, now_ms, credit.credit.entries, credit.in_force)
    return {
        **found,
        "room": room.code if room else None,
        "standing": credit.standing.balance(now_ms) if credit.standing else None,
        "rooms": [asdict(each) for each in shown.rooms],
        "cases": [
            {"n": row.n, "room": row.code, "rule": row.rule, "class": row.grade, "state": row.state,
             "outcome": row.outcome, "opened": row.opened, "due": row.due, "decided": row.decided}
            for row in shown.cases.rows
        ],
        "verified": shown.level,
    }  # fmt: skip


ROUTES = (
    Route("GET", "/people", people, menu="people"),
    Route("GET", "/people/{user}", person),
)
