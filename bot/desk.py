"""The desk: the managers' own room for a group, with one card a case and reactions to press.

Rules this module keeps: the members of the desk are the managers and owners of the group, kept in step with its power
levels; a case is one card, edited when the case changes, and every later word on it goes into its thread; the card
shows the words even when the message is gone. The reactions are an offer: whoever presses one is asked for their right
in the *group* (`bot/commands`), whatever they may do in the desk.
"""

from moderation.actions import Action, EditCard, KeepDesk, Offer, PostCard
from moderation.context import CaseView, PersonView, RoomView
from moderation.credit import balance, tier
from moderation.events import Json
from moderation.ids import EventId, RoomId, UserId
from moderation.notices import Code, Line, Moment, Phrase, RuleText, Who, line
from moderation.policy import Policy
from storage import views
from storage.database import Database

from .act import Done
from .cards import marked
from .clock import Clock
from .homeserver import Homeserver
from .homeserver_errors import Forbidden, NotFound
from .notify import MESSAGE
from .pipeline import Pipeline
from .rooms_of_ours import Made, body, take_up
from .speech import Speech, replacing


class Desk:
    """The handlers of `KeepDesk`, `PostCard`, `EditCard` and `Offer`."""

    def __init__(
        self,
        homeserver: Homeserver,
        database: Database,
        pipeline: Pipeline,
        speech: Speech,
        policy: Policy,
        clock: Clock,
        prefix: str,
    ) -> None:
        self._homeserver = homeserver
        self._database = database
        self._pipeline = pipeline
        self._speech = speech
        self._policy = policy
        self._clock = clock
        self._prefix = prefix

    # The room.

    async def keep(self, action: Action, _txn: str) -> Done:
        """Make the desk if there is none; invite who has become a manager, remove who is none any more."""
        assert isinstance(action, KeepDesk)
        async with self._database.read() as db:
            group = await views.room_view(db, action.room, self._homeserver.user)
            desk = await views.desk_of(db, group.code) if group else None
            there = await views.memberships(db, desk) if desk else {}
            members = await views.memberships(db, action.room)
        if group is None or not group.active:
            return Done(result="abandoned")
        managers = self._managers(group, members)
        if desk is None:
            made = Made("desk", served=group.code)
            desk = await self._create(made, group, managers)
            await take_up(self._pipeline, made, desk)
            return Done(made=desk)
        await self._in_step(desk, there, managers)
        return Done(made=desk)

    def _managers(self, group: RoomView, members: dict[UserId, str]) -> list[UserId]:
        people = group.power.owners() | group.power.managers()
        return sorted(user for user in people if members.get(user) == "join" and user != self._homeserver.user)

    async def _create(self, made: Made, group: RoomView, managers: list[UserId]) -> RoomId:
        language = self._speech.language(group.language)
        called = group.name or group.code
        name = self._speech.text((line("desk.name", room=called),), language, {}).plain
        topic = self._speech.text((line("desk.topic", room=called),), language, {}).plain
        return await self._homeserver.create_room(body(made, name=name, topic=topic, invite=managers))

    async def _in_step(self, desk: RoomId, there: dict[UserId, str], managers: list[UserId]) -> None:
        for user in managers:
            if there.get(user) not in ("join", "invite"):
                await _unless_refused(self._homeserver.invite(desk, user))
        for user, membership in there.items():
            if membership in ("join", "invite") and user not in managers and user != self._homeserver.user:
                await _unless_refused(self._homeserver.kick(desk, user))

    # The cards.

    async def post(self, action: Action, txn: str) -> Done:
        """Post the card of a case, in a desk made now if there was none."""
        assert isinstance(action, PostCard)
        content, desk, _ = await self._card(action.n)
        if desk is None:
            await self.keep(KeepDesk(room=action.room), txn)
            content, desk, _ = await self._card(action.n)
        if desk is None:
            return Done(result="abandoned")
        made = await self._homeserver.send(desk, MESSAGE, marked(content, action.n, txn), txn)
        return Done(made=made)

    async def edit(self, action: Action, txn: str) -> Done:
        """Show what the case has become."""
        assert isinstance(action, EditCard)
        content, desk, card = await self._card(action.n)
        if desk is None or card is None:
            return Done(result="abandoned")
        await self._homeserver.send(desk, MESSAGE, replacing(content, card), txn)
        return Done()

    async def offer(self, action: Action, txn: str) -> Done:
        """One reaction under the card."""
        assert isinstance(action, Offer)
        _, desk, card = await self._card(action.n)
        if desk is None or card is None:
            return Done(result="abandoned")
        relation = {"rel_type": "m.annotation", "event_id": card, "key": action.key}
        await self._homeserver.send(desk, "m.reaction", {"m.relates_to": relation}, txn)
        return Done()

    async def _card(self, n: int) -> tuple[dict[str, Json], RoomId | None, EventId | None]:
        async with self._database.read() as db:
            found = await views.case_view(db, n)
            assert found is not None, "a card for a case that does not exist"
            case, row = found
            group = await views.room_view(db, case.room, self._homeserver.user)
            desk = await views.desk_of(db, group.code) if group else None
            now = self._clock()
            person = await views.person_view(db, case.subject, now_ms=now, recent_since=now)
            names = await views.room_names(db)
        language = self._speech.language(group.language if group else "")
        lines = card_lines(case, row, person, self._policy, now, self._prefix)
        return self._speech.message(lines, language, names), desk, EventId(row.card) if row.card else None


def card_lines(
    case: CaseView, row: object, person: PersonView, policy: Policy, now_ms: int, prefix: str
) -> tuple[Line, ...]:
    """All that is needed to decide a case, and the state it is in. `row` is its row in the table of cases."""
    ledger = person.ledger(case.room, policy.credit)
    credit = balance(ledger, now_ms, policy.credit)
    before = sum(1 for entry in ledger if entry.entry != "compensation" and entry.case != case.n)
    lines = [
        line("card.head", n=case.n, grade=Phrase(f"grade.{case.grade}"), rule=RuleText(case.rule)),
        line("card.who", who=Who(case.subject), credit=credit, tier=tier(credit, policy.tiers), before=before),
    ]
    if words := row.excerpt:  # type: ignore[attr-defined]
        lines.append(line("card.words", words=words))
    if len(case.events) > 1:
        lines.append(line("card.more", count=len(case.events)))
    lines.append(_state_line(case, row))
    if case.state == "appealed":
        lines.append(line("card.appealed", due=Moment(row.due)))  # type: ignore[attr-defined]
    hint = "card.hint.decided" if case.outcome else "card.hint.open"
    lines.append(line(hint, uphold=Code(f"{prefix}uphold {case.n}"), dismiss=Code(f"{prefix}dismiss {case.n}")))
    return tuple(lines)


def _state_line(case: CaseView, row: object) -> Line:
    if not case.outcome:
        key = "card.open-manager" if case.manages else "card.open"
        return line(key, due=Moment(row.due))  # type: ignore[attr-defined]
    by = row.by  # type: ignore[attr-defined]
    if not by:
        return line(f"card.{case.outcome}-by-rule")
    return line(f"card.{case.outcome}", by=Who(by))


async def _unless_refused(request: object) -> None:
    """Somebody who takes no invitation, or is out of reach, does not stop the others."""
    try:
        await request  # type: ignore[misc]
    except (Forbidden, NotFound):
        return
