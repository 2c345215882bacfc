"""credit and history: a person's credit or standing, and the reasons for it."""

from collections.abc import Iterator

from bot.texts.case_card import past_line
from moderation.credit.credit import balance, reaches, tier
from moderation.credit.ledger import account
from moderation.duty.responsibility import require
from moderation.model.context import InForce, PersonView, RoomView
from moderation.model.facts import OF_ROOMS
from moderation.values.ids import UserId
from moderation.values.notices import Line, Moment, Phrase, RuleText, Who, line
from storage import queries

from .invocation import Call, Command, Reply
from .reading import looked_at
from .rights import must_be_known_here, must_have, which_room

MAX_ENTRIES = 15


async def credit(call: Call) -> Reply:
    """Show the caller's own credit; to a manager who gives a name, that person's."""
    user = call.given.user or call.caller
    if user != call.caller and call.group.purpose != "group":
        raise await which_room(call, "credit")  # rights belong to a group, not to a direct room
    if user != call.caller:
        await must_have(call, "history")
        await must_be_known_here(call, user)
    context = await call.context(user)
    ledger = account(context.subject, "credit", _place(call), call.policy).entries
    now = balance(ledger, call.now_ms, call.policy.credit)
    at = tier(now, call.policy.tiers)
    lines = [line("credit.now", who=Who(user), credit=now, tier=at, means=Phrase(f"tier.{at}"))]
    top = call.policy.credit.ceiling
    if now < top and (back := reaches(ledger, top, call.now_ms, call.policy.credit)):
        lines.append(line("credit.full-again", when=Moment(back)))
    lines += [_sanction(held.kind, held.until) for held in context.subject.in_force if _is_shown(call, user, held)]
    lines += [
        line(
            f"credit.entry.{entry.entry}",
            when=Moment(entry.at_ms),
            cost=entry.cost,
            rule=RuleText(entry.rule),
            n=entry.case or 0,
        )
        for entry in ledger[-MAX_ENTRIES:]
    ]
    read = await looked_at(call, user, "credit")
    return Reply((*lines, *_standing(call, context.subject)), read, private=True)


def _place(call: Call) -> RoomView | None:
    """Return the group that is meant; None in a direct message that names none: then show what counts everywhere."""
    return call.group if call.group.purpose == "group" else None


def _is_shown(call: Call, user: UserId, held: InForce) -> bool:
    """Tell whether a measure may be shown: those of other rooms are shown only to the person they apply to."""
    return held.kind not in OF_ROOMS and (user == call.caller or held.covers(call.group))


def _standing(call: Call, person: PersonView) -> Iterator[Line]:
    """List the standing of a person who runs a room, or once did, and the reasons.

    Others learn of it only where the person runs this room.
    """
    own = account(person, "standing", _place(call), call.policy)
    runs = bool(person.manages) if person.user == call.caller else call.group.room in person.manages
    if not runs and not own.entries:
        return
    yield line("standing.now", who=Who(person.user), standing=own.balance(call.now_ms))
    for entry in own.entries[-MAX_ENTRIES:]:
        key = f"standing.entry.{entry.entry}"
        yield line(key, when=Moment(entry.at_ms), cost=entry.cost, rule=RuleText(entry.rule), n=entry.case or 0)


async def history(call: Call) -> Reply:
    """Show managers the cases of a person in this room."""
    require("history", call.caller, call.group, call.policy)
    user = call.given.user
    assert user is not None
    await must_be_known_here(call, user)
    cases = await queries.cases_of(call.db, user, call.group.room, MAX_ENTRIES)
    read = await looked_at(call, user, "history")
    if not cases:
        return Reply((line("history.none", who=Who(user)),), read, private=True)
    lines = [line("history.head", who=Who(user), count=len(cases))]
    lines += map(past_line, cases)
    return Reply(tuple(lines), read, private=True)


def _sanction(kind: str, until: int) -> Line:
    if until:
        return line(f"credit.in-force.{kind}", until=Moment(until))
    return line(f"credit.in-force-open.{kind}")


SUBJECT = "credit"
COMMANDS = (
    Command("credit", "everyone", "user?", credit, anywhere=True, first=True),
    Command("history", "manager", "user", history, deed="history"),
)
