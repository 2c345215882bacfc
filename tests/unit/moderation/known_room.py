"""A small room with several people in memory: who they are, what is recorded, and the views that the rules get."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

from moderation.cases.deadlines import (
    Gone,
)
from moderation.credit.ledger import account
from moderation.duty.duty import Duty
from moderation.duty.responsibility import role
from moderation.model.builtin_rules import NOBODY
from moderation.model.context import Context, InForce, PersonView, RoomView
from moderation.model.facts import (
    OF_ROOMS,
    Fact,
)
from moderation.policy import Policy
from moderation.values.ids import UserId
from moderation.values.power_levels import Power
from tests.unit.moderation.builders import ANNA, BOT, CODE, MARK, MINA, NOON, OLGA, ROOM, person
from tests.unit.moderation.folding import Folded

BEN, NO_ONE = UserId("@ben:example.org"), UserId("")


class KnownRoom:
    """One room, served by the bot: Olga founded it, Mark and Mina help, Anna and Ben are members."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.now = NOON
        self.given: dict[UserId, int] = {OLGA: 100, MARK: 50, MINA: 50}  # levels, as people set them
        self.joined: set[UserId] = {OLGA, MARK, MINA, ANNA, BEN}
        self.people: tuple[UserId, ...] = (OLGA, MARK, MINA, ANNA, BEN)
        self.roster: dict[UserId, str] = {}
        self.untold: set[UserId] = set()  # who cannot be told anything
        self.gone: dict[tuple[int, UserId], Gone] = {}  # who left while a case waited for them
        self.folded = Folded()
        self.away, self.cases, self.tasks = self.folded.away, self.folded.cases, self.folded.tasks
        self.groups: list[tuple[Fact, ...]] = []  # the facts of each cause
        self._next = 0

    @property
    def next_case(self) -> int:
        return max(self.cases, default=0) + 1

    def power(self) -> Power:
        """Return the power levels of the room as the reconciler leaves them: nobody has power over the owner."""
        by_hand = power_of(self.given)
        held = {each.subject for each in self.in_force() if each.kind == "demote"}
        users = {user: level for user, level in self.given.items() if user not in held or by_hand.role(user) == "owner"}
        return power_of(users)

    def view(self) -> RoomView:
        held = frozenset(each.subject for each in self.in_force() if each.kind in ("demote", "ban"))
        return RoomView(ROOM, CODE, "group", "protected", self.power(), suspended=held)

    def duty(self) -> Duty:
        room = self.view()
        roles = {user: role(user, room) for user in sorted(self.joined)}
        nobody = [
            row.view.opened
            for row in self.cases.values()
            if row.view.rule == NOBODY and row.view.outcome != "dismissed"
        ]
        return Duty(
            owners=tuple(user for user, role in roles.items() if role == "owner"),
            managers=tuple(user for user, role in roles.items() if role == "manager"),
            operators=tuple(UserId(user) for user in self.policy.operators),
            away=frozenset(user for user, until in self.away.items() if until > self.now),
            roster=self.roster,
            desk=frozenset(self.joined - self.untold),
            nobody_ms=max(nobody, default=0),
        )

    def in_force(self) -> list[InForce]:
        return self.folded.in_force()

    def measures(self) -> tuple[InForce, ...]:
        return tuple(each for each in self.in_force() if each.kind in OF_ROOMS)

    def entries(self, user: UserId, ledger: str) -> tuple[Any, ...]:
        return self.folded.entries(user, ledger)

    def person(self, user: UserId) -> PersonView:
        return person(
            user,
            entries=self.entries(user, "credit"),
            standing=self.entries(user, "standing"),
            in_force=tuple(each for each in self.in_force() if each.subject == user),
            manages=frozenset({ROOM} if self.power().role(user) != "member" else ()),
            recent_cases={
                (row.view.room, row.view.rule): replace(row.view, events=(), messages=(), on=-1)
                for row in self.cases.values()
                if row.view.subject == user
            },
        )

    def context(self, user: UserId) -> Context:
        return Context(
            now_ms=self.now,
            room=self.view(),
            subject=self.person(user),
            bot=BOT,
            next_case=self.next_case,
            recent_ms=(self.now,),
        )

    def points(self, user: UserId, ledger: str) -> int:
        return account(self.person(user), ledger, self.view(), self.policy).balance(self.now)  # type: ignore[arg-type]

    def with_operator(self) -> frozenset[int]:
        return frozenset(n for n, row in self.cases.items() if row.view.state == "escalated_operator")

    def assigned(self, n: int) -> tuple[UserId, ...]:
        """Return who is responsible for a case at the level that is asked now; for an appeal, since the appeal."""
        row = self.cases[n]
        here = (user for user, level, at in row.asked if level == row.view.asked and at >= row.appealed)
        return tuple(dict.fromkeys(here))

    def _tasks_of(self, kind: str) -> tuple[int, ...]:
        return tuple(index for index, task in self.tasks.items() if task.task == kind)

    def _tasks_about(self, numbers: Iterable[int]) -> dict[int, int]:
        wanted = set(numbers)
        return {task.n: index for index, task in self.tasks.items() if task.task == "case" and task.n in wanted}


def power_of(users: dict[UserId, int]) -> Power:
    return _power_of(tuple(users.items()))


@cache
def _power_of(users: tuple[tuple[UserId, int], ...]) -> Power:
    """Return the power levels of the room where these users have these. There are few such rooms, asked for often."""
    return Power.of({"sender": OLGA, "content": {"room_version": "11"}}, {"users": dict(users) | {BOT: 100}}, bot=BOT)
