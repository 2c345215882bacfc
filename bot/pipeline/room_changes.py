"""The consequences of changes of a room's state and members: roles, protection, sanctions to apply, desks to keep.

Rules kept here:
- Roles come from the power levels, and a change of role is a fact of its own.
- A room is protected while the bot has all the rights it needs to act, else it is observed.
- What somebody changes about the bot's own power is said in the desk.
- A room that was upgraded is followed into its new one.

Left to others: applying sanctions (`bot/effects/align_room.py`), entering (`bot/effects/join_room.py`).
"""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.crypto.encrypting_client import ENCRYPTION
from bot.texts.power_lines import power_changes
from moderation.cases.deadlines import BACK_WITHIN_MS, came_back, facts_of_leaving
from moderation.credit.tiers import made_manager
from moderation.duty.responsibility import role
from moderation.lists.book import ListedEntry
from moderation.model.actions.alerts import Alert
from moderation.model.actions.base import Action
from moderation.model.actions.lists import MatchAgain
from moderation.model.actions.rooms import (
    Align,
    AlignPolicy,
    AlignServers,
    Enter,
    KeepDesk,
    KeepLobby,
    LeaveDirect,
    Pin,
)
from moderation.model.actions.telling import Say, ShowPower, Tell, TellAbove, TellDesk
from moderation.model.context import InForce, PersonView, RoomView
from moderation.model.facts import (
    CaseLeft,
    CaseOpened,
    Fact,
    PolicyServerSet,
    RoleChanged,
    RoomStateChanged,
    SanctionStarted,
)
from moderation.people.barred_list import is_entry
from moderation.people.door import admit, answer_in_lobby, answer_knock
from moderation.people.verification import any_room_asks, asked_of
from moderation.rooms.align_room import JOIN_RULES
from moderation.rooms.join_waves import shutting
from moderation.rooms.member_limits import Counted, enforce_limits, most_members
from moderation.rooms.policy_server import POLICY_STATE, asked_name
from moderation.values.events import MembershipChanged, Received, StateChanged
from moderation.values.ids import RoomId, UserId, is_room_id, server_of
from moderation.values.notices import Code, Moment, RoomName, Who, line
from moderation.values.power_levels import NEEDED_TO_PROTECT, SERVER_ACL, Role
from storage import queries

from .join_waves import JoinWaves
from .list_matches import Came, ListMatching
from .unit_of_work import Answer, PipelineSettings, UnitOfWork
from .view_cache import ViewCache

PINNED = "m.room.pinned_events"
TOMBSTONE = "m.room.tombstone"


class RoomChanges:
    """The answers to changes of rooms, members and power levels."""

    def __init__(self, knowledge: ViewCache, settings: PipelineSettings, lists: ListMatching) -> None:
        self._knowledge = knowledge
        self._lists = lists
        self._bot = settings.bot
        self._policy = settings.policy
        self._waves = JoinWaves(knowledge, settings.bot, settings.policy)
        self._policy_server, self._policy_user = settings.policy_server, settings.policy_user

    async def follow(self, unit: UnitOfWork, index: int, event: Received, room: RoomView, was: RoomView) -> Answer:
        """Return what follows from a state event in a room that the bot serves; nothing from other events."""
        if room.purpose != "group":
            return await self._own_room(unit, index, event, room)
        if isinstance(event, MembershipChanged):
            return await self._member(unit, index, event, room)
        if isinstance(event, StateChanged) and event.type == "m.room.power_levels" and room.active:
            answer = await self._levels(unit, index, event, room)
            return Answer(answer.facts, (*answer.actions, *self._power(event, room, was)))
        if isinstance(event, StateChanged) and event.type == ENCRYPTION and room.active:
            return Answer((), (KeepDesk(room=room.room),))  # the desk of the group is encrypted from now on, too
        if isinstance(event, StateChanged) and event.type == TOMBSTONE and room.active:
            return _followed(event, room)
        if isinstance(event, StateChanged) and event.type == JOIN_RULES and room.active:
            return Answer((), (Align(room=room.room),))
        if isinstance(event, StateChanged) and event.type == SERVER_ACL and event.sender != self._bot and room.active:
            return Answer((), await self.servers(unit, room))
        if isinstance(event, StateChanged) and event.type == POLICY_STATE and event.sender != self._bot and room.active:
            return await self._policy_changed(unit, index, event, room)
        return Answer()

    async def _policy_changed(self, unit: UnitOfWork, index: int, event: StateChanged, room: RoomView) -> Answer:
        """Return what follows when somebody else sets which policy server a room asks: its owners are told.

        If it still names ours, the rest is compared: by another key, all that is written would be refused.
        """
        if event.state_key:
            return Answer()
        asked, chosen = asked_name(event.content), await queries.room_that_asks(unit.db, room.room)
        if chosen is not None and asked == self._policy_server:
            return Answer((), (AlignPolicy(room=room.room, by=event.sender),))
        if chosen is not None and not (chosen.down_ms and not asked):
            return Answer((PolicyServerSet(room=room.room, on=index, step="changed", by=event.sender),))
        if chosen is not None or not asked:
            return Answer()
        said = line("policy.elsewhere", room=RoomName(room.room), by=Who(event.sender), name=Code(asked[:100]))
        return Answer((), (TellAbove(room=room.room, lines=(said,), owners=True),))

    async def servers(self, unit: UnitOfWork, room: RoomView) -> tuple[Action, ...]:
        """Return the action that looks at a room's server ACL, if a server was ever denied there through the bot."""
        concerned = await queries.rooms_with_servers(unit.db, room.room)
        return tuple(AlignServers(room=each) for each in concerned)

    async def asking(self, unit: UnitOfWork, room: RoomView) -> tuple[Action, ...]:
        """Return the actions that let a room which is opened ask the policy server, and stop former ones."""
        if await queries.room_that_asks(unit.db, room.room) is None:
            return ()
        return tuple(AlignPolicy(room=each) for each in await queries.with_former_rooms(unit.db, room.room))

    def condition(self, room: RoomView) -> Literal["observing", "protected"]:
        """Return whether the bot can act in a room ("protected") or only look on ("observing")."""
        lacks = {lack.right for lack in room.power.missing_for(self._bot)}
        return "observing" if lacks & NEEDED_TO_PROTECT else "protected"

    def lobby(self, room: RoomView) -> tuple[Action, ...]:
        """Return the action that keeps the lobby of a group, if it is gated."""
        return (KeepLobby(room=room.room),) if asked_of(room, self._policy).gated and room.purpose == "group" else ()

    async def role_changes(self, db: AsyncConnection, room: RoomView, on: int, by: UserId) -> Sequence[RoleChanged]:
        """Return the changes of people's roles in a room since they were recorded last."""
        before = await queries.roles(db, room.room)
        managers: dict[UserId, Role] = dict.fromkeys(room.power.managers(), "manager")
        now = managers | dict.fromkeys(room.power.owners(), "owner")
        return [
            RoleChanged(
                room=room.room,
                on=on,
                role=now.get(user, "member"),
                was=before.get(user, "member"),
                subject=user,
                by=by,
            )
            for user in sorted(before.keys() | now.keys())
            if now.get(user, "member") != before.get(user, "member") and user != self._bot
        ]

    async def _levels(self, unit: UnitOfWork, index: int, event: StateChanged, room: RoomView) -> Answer:
        facts: list[Fact] = []
        for change in await self.role_changes(unit.db, room, index, event.sender):
            facts.append(change)
            if change.role != "member":
                context = await self._knowledge.context(unit.db, room, change.subject, event.received_ms)
                facts += made_manager(context, self._policy, on=index)
                facts += await self._came_back(unit, index, room, change.subject, event.received_ms)
            else:
                facts += await self._left_cases(unit, index, room, change.subject, event.sender)
        if (condition := self.condition(room)) != room.condition:
            facts.append(RoomStateChanged(room=room.room, on=index, condition=condition))
        actions: list[Action] = [Align(room=room.room), *await self.servers(unit, room)]
        runs = any(isinstance(fact, RoleChanged) and fact.role != "member" for fact in facts)
        if runs and await self._lists.denies_in(unit.db, room.room):  # perhaps the server of somebody who runs it now
            actions.append(MatchAgain(room=room.room))
        if condition != room.condition:
            actions += self.lobby(room)
        if condition != room.condition and room.notice and room.power.can_send(self._bot, PINNED, state=True):
            actions.append(Pin(room=room.room, event=room.notice))
        return Answer(tuple(facts), tuple(actions))

    def _power(self, event: StateChanged, room: RoomView, was: RoomView) -> tuple[Action, ...]:
        """Return what the desk is told if somebody else changed what the bot can do."""
        changed = power_changes(was.power, room.power, self._bot, event.sender, room.room)
        return (ShowPower(room=room.room, changed=changed),) if changed and event.sender != self._bot else ()

    async def _member(self, unit: UnitOfWork, index: int, event: MembershipChanged, room: RoomView) -> Answer:
        if event.user == self._bot:
            return await self._gone_from_group(unit, index, event, room)
        if not room.active:
            return Answer()
        if event.user == self._policy_user:  # no person
            asks = await queries.room_that_asks(unit.db, room.room) if event.membership == "join" else None
            return Answer((), (AlignPolicy(room=room.room),) if asks is not None else ())
        actions: list[Action] = []
        comes = self._waves.looks_at(event, room)
        listed = self._lists.means(event.user) if _arrives(event) else ()
        was = await _membership_before(unit, event) if comes or listed else ""  # before anything is written
        person = await self._knowledge.person(unit.db, event.user, event.received_ms)
        holding = [sanction.kind for sanction in person.in_force if sanction.covers(room)]
        if holding:
            actions.append(Align(room=room.room))
        if event.membership == "join" and (barred := _by_another_account(person)) is not None:
            words = (line("notice.barred-account", until=Moment(barred.until)), line("notice.foot", n=barred.n))
            actions.append(Tell(room=room.room, subject=event.user, lines=words if barred.n else words[:1], alone=True))
        facts: tuple[Fact, ...] = await self._too_many(unit, index, event, room) if "ban" not in holding else ()
        if comes and not facts and "ban" not in holding:
            facts += await self._waves.follow(unit, index, event, room, was=was, n=self._knowledge.next_case)
        if event.membership in ("leave", "ban"):
            facts += await self._left_cases(unit, index, room, event.user, event.sender)
        elif event.membership == "join":
            facts += await self._came_back(unit, index, room, event.user, event.received_ms)
        if listed and was != "join" and "ban" not in holding and not _is_met(facts, event.user):
            named = await self._named_on_a_list(unit, index, event, room, listed, facts)
            facts, actions = (*facts, *named.facts), [*actions, *named.actions]
        facts += await self._at_the_door(unit, index, event, room)
        if room.power.role(event.user) != "member":
            actions.append(KeepDesk(room=room.room))
        asked = any_room_asks(self._policy.verification) or room.choices.write
        if asked or event.membership == "join":  # how long they are known here will matter when they write
            await unit.flush()
            self._knowledge.moved(event.user)
        return Answer(facts, tuple(actions))

    async def _company(self, unit: UnitOfWork, index: int, event: MembershipChanged, room: RoomView) -> Answer:
        """Return what follows if a third person joins or is invited to a direct room: it is for two, the bot leaves."""
        user = await queries.direct_with(unit.db, room.room)
        if event.user == user or event.membership not in ("join", "invite") or room.condition == "left":
            return Answer()
        gone = RoomStateChanged(room=room.room, on=index, condition="left")
        return Answer((gone,), (LeaveDirect(room=room.room, subject=user),))

    async def _left_cases(
        self, unit: UnitOfWork, index: int, room: RoomView, user: UserId, by: UserId
    ) -> tuple[CaseLeft, ...]:
        """Return the facts that somebody left the room or their role, or was made to, while cases waited for them.

        Nothing follows if the bot itself did it, by a measure.
        """
        if by == self._bot:
            return ()
        return facts_of_leaving(
            room.room, await queries.told_cases(unit.db, user, room.room), user=user, by=by, on=index
        )

    async def _came_back(
        self, unit: UnitOfWork, index: int, room: RoomView, user: UserId, now_ms: int
    ) -> tuple[Fact, ...]:
        """Return what follows if somebody who was gone at the deadline of a case runs the room again."""
        excused = await queries.excused_cases(unit.db, user, room.room, now_ms - BACK_WITHIN_MS)
        if not excused or role(user, room) == "member":
            return ()
        await unit.flush()
        if (await queries.memberships_of(unit.db, user)).get(room.room) != "join":
            return ()
        context = await self._knowledge.context(unit.db, room, user, now_ms)
        return came_back(context, excused, self._policy, on=index)

    async def _too_many(
        self, unit: UnitOfWork, index: int, event: MembershipChanged, room: RoomView
    ) -> tuple[Fact, ...]:
        """Return what follows if somebody came into a room that is full, or is now in one room too many."""
        members, joined = most_members(room, self._policy), self._policy.member_limits.joined
        if not (members or joined) or event.membership != "join" or event.event is None:
            return ()
        if await _membership_before(unit, event) == "join":  # only a new name or picture
            return ()
        await unit.flush()
        counted = Counted(
            people=await queries.people_in(unit.db, room.room, without=self._bot) if members else 0,
            rooms=len(await queries.groups_of_person(unit.db, event.user, joined=True)) if joined else 0,
        )
        context = await self._knowledge.context(unit.db, room, event.user, event.received_ms)
        return enforce_limits(context, counted, self._policy, event=event.event, on=index)

    async def _named_on_a_list(
        self,
        unit: UnitOfWork,
        index: int,
        event: MembershipChanged,
        room: RoomView,
        listed: Sequence[ListedEntry],
        before: Sequence[Fact],
    ) -> Answer:
        """Return what follows from the entries of policy lists that mean somebody who arrives."""
        assert event.event is not None
        await unit.flush()
        taken = sum(isinstance(fact, CaseOpened) for fact in before)
        came = Came(room, event.user, event.received_ms, index, event.event, taken)
        return await self._lists.came(unit.db, came, listed)

    async def _own_room(self, unit: UnitOfWork, index: int, event: Received, room: RoomView) -> Answer:
        if not isinstance(event, MembershipChanged):
            return Answer()
        if event.user == self._bot:
            return self._left(index, event, room)
        if room.purpose == "direct":
            return await self._company(unit, index, event, room)
        if room.purpose == "lobby" and room.serves and event.membership == "join":
            return await self._in_lobby(unit, index, event, room.serves[0])
        if room.purpose == "desk" and event.membership in ("join", "invite"):
            return await self._in_desk(unit, event, room)
        return Answer()

    async def _in_desk(self, unit: UnitOfWork, event: MembershipChanged, room: RoomView) -> Answer:
        """Have the desk looked after if somebody comes who has no right there, such as by an invitation sent before."""
        desk = await queries.desk_view(unit.db, room.code, self._bot)
        if desk is None or not desk.users or any(event.user in staff.people for staff in desk.users):
            return Answer()
        return Answer((), (KeepDesk(room=desk.users[0].room),))

    async def _in_lobby(self, unit: UnitOfWork, index: int, event: MembershipChanged, served: RoomId) -> Answer:
        """Return what follows if somebody came into the lobby of a gated group."""
        group = await self._knowledge.room(unit.db, served)
        if group is None or not group.active or not asked_of(group, self._policy).gated:
            return Answer()
        if (await queries.memberships_of(unit.db, event.user)).get(served) in ("join", "ban"):
            return Answer()
        context = await self._knowledge.context(unit.db, group, event.user, event.received_ms)
        return Answer(answer_in_lobby(context, self._policy, on=index))

    async def _at_the_door(
        self, unit: UnitOfWork, index: int, event: MembershipChanged, room: RoomView
    ) -> tuple[Fact, ...]:
        """Return what follows if somebody asks to come into a gated room."""
        if event.membership != "knock":
            return ()
        if asked_of(room, self._policy).gated:
            context = await self._knowledge.context(unit.db, room, event.user, event.received_ms)
            return answer_knock(context, self._policy, on=index)
        shut = shutting(await queries.measures_of_room(unit.db, room.room))
        if shut is None or shut.kind != "gate":
            return ()
        known = await self._waves.is_known(unit.db, event.user, room, event.received_ms)
        return admit(room.room, event.user, on=index) if known else ()

    async def _gone_from_group(self, unit: UnitOfWork, index: int, event: MembershipChanged, room: RoomView) -> Answer:
        """Return what follows if the bot left a group; if it was removed, its desk, owners and operators are told."""
        answer = self._left(index, event, room)
        if not answer.facts:
            return answer
        cases = (await queries.room_numbers(unit.db, room.room)).open_cases
        by_itself = event.sender == self._bot
        key = "leave.left" if by_itself else "leave.removed"
        words = (line(key, room=RoomName(room.room), by=Who(event.sender), count=cases),)
        told: tuple[Action, ...] = (TellAbove(room=room.room, lines=words, owners=not by_itself),)
        if not by_itself:
            told += (Alert(room=room.room, what="removed"),)
        desk = await queries.desk_of(unit.db, room.code)
        if desk is not None and not by_itself:
            told += (Say(room=desk, lines=words),)
        return Answer(answer.facts, (*answer.actions, *told))

    def _left(self, index: int, event: MembershipChanged, room: RoomView) -> Answer:
        """Return what follows if the bot itself left the room, was removed or banned."""
        if event.membership not in ("leave", "ban") or room.condition == "left":
            return Answer()
        return Answer((RoomStateChanged(room=room.room, on=index, condition="left"),), self.lobby(room))


def _followed(event: StateChanged, room: RoomView) -> Answer:
    """Return the actions that follow an upgraded room into its successor.

    The tombstone is believed: only somebody with the highest power in the room can send it.
    """
    successor = event.content.get("replacement_room")
    if event.state_key or not isinstance(successor, str) or not is_room_id(successor) or successor == room.room:
        return Answer()
    enter = Enter(room=RoomId(successor), inviter=event.sender, via=server_of(event.sender), follows=True)
    words = line("upgrade.seen", room=RoomName(room.room), by=Who(event.sender))
    return Answer((), (enter, TellDesk(room=room.room, lines=(words,), once="upgrade")))


def _by_another_account(person: PersonView) -> InForce | None:
    """Return what bars an account from all rooms only because it was imposed on another account of the same person."""
    barred = [each for each in person.in_force if is_entry(each)]
    return barred[-1] if barred and all(each.subject != person.user for each in barred) else None


def _arrives(event: MembershipChanged) -> bool:
    """Return whether somebody comes, is invited, or asks to come in."""
    return event.membership in ("join", "invite", "knock") and event.event is not None


def _is_met(facts: Sequence[Fact], user: UserId) -> bool:
    """Return whether a measure against somebody is among facts."""
    return any(isinstance(fact, SanctionStarted) and fact.subject == user for fact in facts)


async def _membership_before(unit: UnitOfWork, event: MembershipChanged) -> str:
    """Return the membership of somebody before `event`, the newest event of the unit of work; "" if there is none."""
    for _, seen, _ in reversed(unit.seen[:-1]):
        if isinstance(seen, MembershipChanged) and (seen.room, seen.user) == (event.room, event.user):
            return seen.membership
    return (await queries.memberships_of(unit.db, event.user)).get(event.room, "")
