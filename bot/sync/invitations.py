"""The check of who is behind an invitation, and which room it leads to, before the bot enters.

Rules kept here:
- Both the inviter and the founders of the room are checked, as far as the invitation names them.
- A person is told the reason of a refusal in private. The operators are told of it once a day for each person, so that
  nobody can flood them.

Left to others: the decisions (`moderation/people/invitations.py`, `moderation/rooms/member_limits.py`,
`bot/crypto/sas.py`).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from bot.events.sync_response import Invite
from bot.outbox.handler import BotPart, Services
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.telling import Tell
from moderation.people.invitations import Declined, is_refused, reason_to_decline
from moderation.people.verification import founder_declined, room_demands
from moderation.rooms.member_limits import declines
from moderation.values.durations import DAY_MS
from moderation.values.events import Json
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line, Moment, Who, line
from moderation.values.power_levels import founders
from storage import queries

Elsewhere = Callable[[RoomId], Awaitable[str | None]]


async def nowhere_else(_room: RoomId) -> None:
    """Return None: a deployment without shards serves every room itself."""


def may_invite(inviter: UserId | None, allowed: Sequence[str]) -> bool:
    """Tell whether a person may bring the bot into a room; `allowed` are globs over Matrix ids."""
    return inviter is not None and any(fnmatchcase(inviter, glob) for glob in allowed)


def space_declined(inviter: UserId) -> Tell:
    """Return the message to a person who invited the bot into a space."""
    return Tell(room=NO_ROOM, subject=inviter, lines=(line("joining.space"),), alone=True)


class Invitations(BotPart):
    """The decision whether the bot stays out of a room, and why."""

    def __init__(self, services: Services, elsewhere: Elsewhere) -> None:
        """Set up; `elsewhere` returns the account of the shard whose room it is, if that is another one."""
        super().__init__(services)
        self._elsewhere = elsewhere
        self._operators_told: dict[UserId, int] = {}

    async def refused(self, invite: Invite, inviter: UserId) -> tuple[str, tuple[Action, ...]] | None:
        """Return why the bot declines an invitation into a group, and who is told; None if it accepts."""
        if await self._named(invite):
            return "refused-group", await self._tell(invite, inviter, line("joining.refused.group"))
        if (account := await self._elsewhere(invite.room)) is not None:
            words = line("joining.other-shard", account=Who(UserId(account)))
            return "shard", (await self._to_inviter(invite, inviter, words),)
        if (found := await self._declined(invite, inviter)) is not None:
            return found.why, await self._tell(invite, inviter, _line(found))
        if (founder := await self._founded_too_many(invite)) is not None:
            words = line("caps.founded", who=Who(founder), limit=self._pipeline.settings.policy.member_limits.founded)
            return "founded", (await self._to_inviter(invite, inviter, words),)
        if (founder := await self._founded_unverified(invite, inviter)) is not None:
            words = line("caps.unverified", who=Who(founder))
            return "unverified", (await self._to_inviter(invite, inviter, words),)
        return None

    async def _named(self, invite: Invite) -> bool:
        """Tell whether the configuration names this room, or the predecessor that it claims."""
        predecessor = _mapping(_content(invite, "m.room.create").get("predecessor")).get("room_id")
        rooms = [invite.room, *([predecessor] if isinstance(predecessor, str) else [])]
        async with self._database.read() as db:
            codes = await queries.codes_of(db, [RoomId(room) for room in rooms])
        return is_refused([*rooms, *codes.values(), *_aliases(invite)], self._pipeline.settings.policy)

    async def _declined(self, invite: Invite, inviter: UserId) -> Declined | None:
        policy, now = self._pipeline.settings.policy, self._clock()
        people = dict.fromkeys((inviter, *sorted(founders(_event(invite, "m.room.create")))))
        async with self._database.read() as db:
            groups = await queries.closed_groups(db, self._pipeline.settings.bot)
            closed = {group.code: await queries.owners_of(db, group) for group in groups}
            for user in people:
                person = await queries.person_view(db, user, now_ms=now, recent_since=now)
                if (found := reason_to_decline(person, closed, policy, now)) is not None:
                    return found
        return None

    async def _founded_too_many(self, invite: Invite) -> UserId | None:
        """Return a founder of this room who has already founded as many served groups as allowed.

        Founders are known as far as the invitation names them.
        """
        policy, created = self._pipeline.settings.policy, _event(invite, "m.room.create")
        if not policy.member_limits.founded or created is None:
            return None
        async with self._database.read() as db:
            for founder in sorted(founders(created)):
                accounts = frozenset(await queries.accounts_of(db, founder))
                if declines(await queries.founded_by(db, accounts, without=invite.room), founder, policy):
                    return founder
        return None

    async def _founded_unverified(self, invite: Invite, inviter: UserId) -> UserId | None:
        """Return a founder of this room who is not verified as founding requires.

        Founders are known as far as the invitation names them; if it has no create event, the inviter counts as the
        founder.
        """
        policy, now = self._pipeline.settings.policy, self._clock()
        if not room_demands(policy.verification, invite.room).found:
            return None
        created = _event(invite, "m.room.create")
        async with self._database.read() as db:
            for founder in sorted(founders(created)) if created else (inviter,):
                known = await queries.person_view(db, founder, now_ms=now, recent_since=now)
                if founder_declined(known, invite.room, policy, now):
                    return founder
        return None

    async def _tell(self, invite: Invite, inviter: UserId, words: Line) -> tuple[Action, ...]:
        told = await self._to_inviter(invite, inviter, words)
        now = self._clock()
        if now - self._operators_told.get(inviter, now - DAY_MS) < DAY_MS:
            return (told,)
        self._operators_told[inviter] = now
        what = line("joining.not-gone", who=Who(inviter), room=invite.room)
        operators = self._pipeline.settings.policy.operators
        return (
            told,
            *(Tell(room=invite.room, subject=UserId(each), lines=(what, words), alone=True) for each in operators),
        )

    async def _to_inviter(self, invite: Invite, inviter: UserId, words: Line) -> Tell:
        async with self._database.read() as db:
            known = await queries.groups_of(db, inviter)
        return Tell(room=known[0] if known else invite.room, subject=inviter, lines=(words,), alone=True)


def _line(found: Declined) -> Line:
    who = Who(found.person.user)
    return line(f"joining.refused.{found.why}", who=who, until=Moment(found.until), group=found.group)


def _event(invite: Invite, kind: str) -> Mapping[str, Json] | None:
    return next((event for event in invite.state if event.get("type") == kind), None)


def _content(invite: Invite, kind: str) -> Mapping[str, Json]:
    return _mapping((_event(invite, kind) or {}).get("content"))


def _mapping(raw: Json) -> Mapping[str, Json]:
    return raw if isinstance(raw, dict) else {}


def _aliases(invite: Invite) -> Iterator[str]:
    content = _content(invite, "m.room.canonical_alias")
    others = content.get("alt_aliases")
    for alias in (content.get("alias"), *(others if isinstance(others, list) else ())):
        if isinstance(alias, str):
            yield alias
