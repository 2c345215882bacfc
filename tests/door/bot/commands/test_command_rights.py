"""Every command by everybody: done, or refused and without effect, as `rights_table.py` says.

A deployment is made once, with somebody in every role; each role gives its commands in a copy of it, one after the
other in the order of the table, since some prepare the next.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bot.commands.registry import COMMANDS
from moderation.model.actions.base import Action
from moderation.model.actions.telling import GiveConsoleLink, Say
from moderation.model.facts import CaseOpened, Fact, PersonVerified
from moderation.values.ids import RoomId, UserId
from tests.door.bot.commands.rights_table import ROLES, ROWS, Row
from tests.fuzz.door import BOT, CONFIG, OPERATOR, Door
from tests.theatre.engine import Block

PEOPLE = {role: f"@{role}:example.org" for role in (*ROLES, "victim", "visitor")} | {"operator": str(OPERATOR)}
GARDEN = {
    "owner": 100,
    "manager": 50,
    "demoted": 50,
    "banned": 50,
    "member": 0,
    "unverified": 0,
    "muted": 0,
    "victim": 0,
}
KITCHEN = {"stranger": 100, "visitor": 0}
CODE = "G-2222"
# One grave violation costs the right to manage; people who are not verified are reminded.
STRICT = """
[credit]
costs = { minor = 1, moderate = 5, serious = 10, severe = 61 }
incident_limit = 61
[tiers]
c = 30
[verification]
write = 2
below = "remind"
[console]
public_url = "https://console.example.org"
"""


@dataclass
class Done:
    """The outcome of one command: the keys of the texts that its speaker was told, and the facts it left."""

    told: tuple[str, ...]
    facts: tuple[Fact, ...]
    actions: tuple[Action, ...] = ()  # without the answer


@dataclass
class Cast:
    """The deployment: two groups, a direct room for everybody, a case of each group, and links to messages."""

    door: Door
    direct: dict[str, RoomId] = field(default_factory=dict)
    words: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def assembled(cls, folder: Path) -> "Cast":
        """Put somebody into every role."""
        cast = cls(Door.open(folder, CONFIG + STRICT))
        codes = (f"G-{letter}222" for letter in "3456789ABCDEFGHJKLMNPQRSTUVWXYZ")
        garden = cast.group("garden", GARDEN, "owner", CODE, next(codes))
        kitchen = cast.group("kitchen", KITCHEN, "stranger", next(codes), next(codes))
        for role in ROLES:
            user = PEOPLE[role]
            cast.direct[role] = cast.door.room(f"to-{role}", "direct", {user: 0}, user=user, code=next(codes))
        until = cast.door.now + 365 * 86_400_000
        verified = [
            PersonVerified(method="roster", level=2, until=until, subject=UserId(PEOPLE[role]))
            for role in ("owner", "manager", "stranger")
        ]
        cast.door.run(cast.door.pipeline.commit(verified))
        cast.set_roles(garden)
        cast.words = {
            "code": CODE,
            "victim": PEOPLE["victim"],
            "case": cast.case(garden, "victim"),
            "foreign": cast.case(kitchen, "visitor"),
            "link": cast.link(garden, "victim"),
            "elsewhere": cast.link(kitchen, "visitor"),
        }
        return cast

    def group(self, name: str, levels: dict[str, int], owner: str, code: str, desk: str) -> RoomId:
        """Make a group with its desk."""
        people = {PEOPLE[role]: level for role, level in levels.items()}
        room = self.door.room(name, "group", people, owner=PEOPLE[owner], code=code)
        managing = {user: 0 for user, level in people.items() if level}
        self.door.room(f"desk-{name}", "desk", managing, served=code, code=desk)
        return room

    def set_roles(self, garden: RoomId) -> None:
        """Make people demoted, muted, vouched for, and banned by hand, as if the homeserver had done it."""
        n = self.case(garden, "demoted", "a volcano")
        for said in (f"uphold {n} {CODE} yes", f"vouch {PEOPLE['member']} {CODE}", f"mute {PEOPLE['muted']} 1d {CODE}"):
            done = self.give("manager", said)
            assert not any(key.startswith("error.") for key in done.told), (said, done)
        levels = {PEOPLE[role]: level for role, level in GARDEN.items()} | {BOT: 100}
        levels |= {PEOPLE["demoted"]: 0, PEOPLE["muted"]: -1}
        read = self.door.read
        self.door.take(read(garden, BOT, "m.room.power_levels", {"users": levels}, state_key=""))
        banned = PEOPLE["banned"]
        self.door.take(read(garden, PEOPLE["owner"], "m.room.member", {"membership": "ban"}, state_key=banned))

    def case(self, room: RoomId, role: str, words: str = "forbidden 1") -> int:
        """Let somebody break a rule that managers decide on. Returns the number of the case."""
        facts, _ = self.door.say(room, PEOPLE[role], words)
        (n,) = (fact.n for fact in facts if isinstance(fact, CaseOpened))
        return int(n)

    def link(self, room: RoomId, role: str) -> str:
        """Let somebody say something. Returns a link to it."""
        event = self.door.read(room, PEOPLE[role], "m.room.message", {"msgtype": "m.text", "body": "hello"})
        self.door.take(event)
        return f"https://matrix.to/#/{room}/{event.event}"

    def give(self, role: str, command: str) -> Done:
        """Give a command in one's own direct room."""
        self.door.now += 61_000  # not more commands in an hour than the bot answers
        facts, actions = self.door.say(self.direct[role], PEOPLE[role], f"!{command}")
        answers = [each for each in actions if isinstance(each, Say) and each.to == PEOPLE[role]]
        told = [line.key for each in answers for line in each.lines]
        return _done(told, facts, [each for each in actions if each not in answers])

    def order(self, role: str, command: str) -> Done:
        """Give a command in the web console."""
        self.door.now += 61_000
        answer, facts, actions = self.door.order(self.direct[role], PEOPLE[role], command)
        assert answer.refused == any(line.key.startswith(("error.", "cli.")) for line in answer.told)
        return _done([line.key for line in answer.told], facts, actions)


def _done(told: list[str], facts: list[Fact], actions: list[Action]) -> Done:
    told += [each.NAME for each in actions if isinstance(each, GiveConsoleLink)]
    return Done(tuple(told), tuple(facts), tuple(actions))


Given = Callable[..., dict[str, Done]]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, as_bots_do: Block) -> Given:
    """Provide what came of all commands of a role."""
    played = dict[tuple[str, str], dict[str, Done]]()
    with as_bots_do():
        cast = Cast.assembled(tmp_path_factory.mktemp("cast"))
        cast.door.close()

    def play(role: str, by: str = "chat") -> dict[str, Done]:
        if (role, by) not in played:
            twin = Cast(cast.door.again(tmp_path_factory.mktemp(role)), cast.direct, cast.words)
            rows = [row for row in ROWS if row.answers.get(role)]
            give = twin.give if by == "chat" else twin.order
            played[role, by] = {row.said: give(role, row.said.format(**cast.words)) for row in rows}
            assert twin.door.problems() == ()
            twin.door.close()
        return played[role, by]

    return play


def cells() -> Iterator[Any]:
    """Produce every role with every row, and with every command that has none."""
    without = [Row(name, {}) for name in sorted({each.name for each in COMMANDS.values()} - {row.name for row in ROWS})]
    for role, row in product(ROLES, (*ROWS, *without)):
        if row.answers.get(role, "") is not None:
            yield pytest.param(role, row, id=f"{role}: {row.said}")


@pytest.mark.parametrize(("role", "row"), list(cells()))
def test_a_command_follows_the_rights_table_for_a_role(given: Given, role: str, row: Row) -> None:
    wanted = row.answers.get(role)
    assert wanted, f"{row.name} needs a row in rights_table.py that says what {role} is answered"
    done = given(role)[row.said]
    assert any(_is(key, each) for key in done.told for each in wanted.split("|")), done
    if wanted.startswith("error."):
        assert done.facts == ()


ONLY_IN_CHAT = ("verify",)  # what is typed for it is not recorded


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
def test_a_command_in_the_web_console_does_just_what_it_does_in_chat(given: Given, role: str) -> None:
    in_chat, in_console = given(role), given(role, "console")
    assert in_chat.keys() == in_console.keys()
    for said, done in in_chat.items():
        if said.split()[0] in ONLY_IN_CHAT:
            assert in_console[said] == Done(("error.console.in-chat",), ()), said
        else:
            assert in_console[said] == done, said
    queued = [action for done in in_console.values() for action in done.actions]
    assert [each for each in queued if getattr(each, "reply_to", None) or getattr(each, "thread", None)] == []


def test_an_operator_who_came_by_a_link_from_a_chat_is_answered_as_anybody_outside(given: Given) -> None:
    for row in ROWS:
        done = given("operator", "console").get(row.said)
        if done is None or row.name in ONLY_IN_CHAT:
            continue
        assert any(_is(key, each) for key in done.told for each in str(row.answers["outsider"]).split("|")), (row, done)
        if done.told[0].startswith("error."):
            assert done.facts == (), row


def _is(key: str, wanted: str) -> bool:
    return key == wanted or key.startswith(f"{wanted}.")
