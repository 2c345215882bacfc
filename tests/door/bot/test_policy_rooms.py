"""Rooms that ask the policy server: chosen by their owners, set once it answers, and ended when nobody reaches it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.effects.policy_parts import policy_parts
from bot.effects.policy_state import AskedServer, PolicyStates
from bot.matrix.errors import Forbidden
from bot.outbox.handler import Done
from bot.pipeline.withheld import note_of
from bot.startup import ended_asking
from bot.sync.policy_watch import PolicyWatch
from moderation.model.actions.rooms import AlignPolicy
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import ActionTaken, MessageWithheld, PolicyServerSet
from moderation.rooms.policy_server import BACK_AFTER_MS, asking
from moderation.values.durations import MS_PER
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage import queries
from storage.outbox import OutboxRow
from storage.policy_server.store import KeptAnswer, PolicyStore
from tests.door.bot.pipeline.test_withheld import withheld
from tests.door.offline import ANNA, BOT, LEVELS, MARK, OLGA, ROOM, Offline, offline

NAME = "policy.example.org"
USER = UserId(f"@answerable:{NAME}")
CONFIG = f'[policy_server]\nserver_name = "{NAME}"\n'
OURS = asking(NAME, "key")
NOTHING_MORE = Done()


@dataclass
class Homeserver:
    """A homeserver that knows the state of one room, and of others."""

    state: dict[str, Any] = field(default_factory=dict)
    others: dict[RoomId, dict[str, Any]] = field(default_factory=dict)
    invited: list[UserId] = field(default_factory=list)
    allows: bool = True
    user: UserId = BOT

    async def state_event(self, room: RoomId, kind: str, key: str = "") -> dict[str, Any] | None:
        found = self.others.get(room, self.state).get(f"{kind} {key}".strip())
        return dict(found) if found is not None else None

    async def set_state(self, room: RoomId, kind: str, content: dict[str, Any], key: str = "") -> EventId:
        if not self.allows:
            raise Forbidden("no", status=403, errcode="M_FORBIDDEN")
        self.others.get(room, self.state)[f"{kind} {key}".strip()] = content
        return EventId("$state")

    async def invite(self, _room: RoomId, user: UserId, _reason: str | None = None) -> None:
        self.invited.append(user)

    @property
    def asks(self) -> object:
        return self.state.get("m.room.policy")


@dataclass
class GivenNotes:
    """The notes of a policy server."""

    notes: list[Any] = field(default_factory=list)

    def refusals_after(self, seq: int, most: int = 200) -> tuple[Any, ...]:
        return tuple(note for note in self.notes if note.seq > seq)[:most]


@dataclass(frozen=True)
class GivenNote:
    seq: int
    note: str


class Looked:
    """A look at the policy server from outside."""

    def __init__(self, up: Callable[[], bool]) -> None:
        self._up = up

    async def __call__(self) -> bool:
        return self._up()

    async def close(self) -> None:
        return


@dataclass
class Place:
    """A bot, its homeserver, and its policy server."""

    bot: Offline
    homeserver: Homeserver
    notes: GivenNotes
    up: bool = True
    key: str = "key"

    def __post_init__(self) -> None:
        services = self.bot.services(self.homeserver)
        look = Looked(lambda: self.up)
        self.watch = PolicyWatch(services, self.notes, look, lambda: self.key, when_down_ms=90_000)
        self.states = PolicyStates(services, AskedServer(NAME, USER, lambda: self.key, self.watch.reached))

    async def turn_on(self, by: UserId = OLGA) -> None:
        await self.bot.say(by, "!policy on")
        ((on, _),) = await self.bot.rows("SELECT record, at FROM requests WHERE what LIKE 'policy %'")
        await self.bot.say(by, f"!policy on {on}")
        await self.said()

    async def settle(self) -> list[str]:
        """Do what waits for the room's state; return what Olga is told of it."""
        while rows := [row for row in await self.bot.waiting() if isinstance(row.action, AlignPolicy)]:
            for row in rows:
                assert isinstance(row.action, AlignPolicy)
                await self._done(row, await self.states.handle(row.action, row.txn))
        return [key for key in await self.said() if key.startswith("policy.")]

    async def _done(self, row: OutboxRow, done: Done = NOTHING_MORE) -> None:
        taken = ActionTaken(room=row.action.room, action=row.action.NAME, result="done", txn=row.txn)
        await self.bot.pipeline.commit((*done.facts, taken), actions=done.actions, of_row=row.txn)

    async def look(self, ms: int = 15_000) -> list[str]:
        self.bot.time.ms += ms
        await self.watch.look()
        return await self.settle()

    async def said(self) -> list[str]:
        """Return the keys of what Olga and Mark are told, but how a command is written, and forget it."""
        keys: list[str] = []
        for row in await self.bot.waiting():
            if isinstance(row.action, Say | Tell):
                keys += [each.key for each in row.action.lines if not each.key.startswith("help.")]
                await self._done(row)
        return keys

    async def join(self) -> None:
        await self.bot.membership(USER, "join")
        self.homeserver.state[f"m.room.member {USER}"] = {"membership": "join"}

    def steps(self) -> list[str]:
        return [fact.step for fact in self.bot.facts(PolicyServerSet)]


@asynccontextmanager
async def place(folder: Path, config: str = CONFIG, levels: Any = LEVELS) -> AsyncIterator[Place]:
    async with offline(folder, config, levels) as bot:
        yield Place(bot, Homeserver(), GivenNotes())


async def test_an_owner_is_told_what_it_means_and_confirms(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.bot.say(OLGA, "!policy")
        assert await at.said() == ["policy.status.off", "policy.how"]
        await at.bot.say(OLGA, "!policy on")
        explained = await at.said()
        assert explained[0] == "policy.what" and explained[-1] == "policy.confirm" and "policy.when-down" in explained
        assert at.steps() == []
        await at.bot.say(OLGA, "!policy on 1")
        assert (await at.said(), at.steps()) == (["error.policy.number"], [])
        ((on,),) = await at.bot.rows("SELECT record FROM requests WHERE what LIKE 'policy %'")
        await at.bot.say(MARK, f"!policy on {on}")
        assert (await at.said(), at.steps()) == (["error.right.policy"], [])
        await at.bot.say(OLGA, f"!policy on {on}")
        assert (await at.said(), at.steps()) == (["policy.begun"], ["on"])
        await at.bot.say(OLGA, "!policy")
        assert await at.said() == ["policy.status.waits"]
        await at.bot.say(OLGA, "!policy off")
        assert (await at.said(), at.steps()) == (["policy.ended"], ["on", "off"])


async def test_without_a_policy_server_there_is_nothing_to_choose(tmp_path: Path) -> None:
    async with place(tmp_path, "") as at:
        await at.bot.say(OLGA, "!policy on")
        assert (await at.said(), at.steps()) == (["error.policy.none"], [])


async def test_the_room_asks_once_the_user_is_there_and_it_was_reached(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        assert await at.settle() == []
        assert (at.homeserver.invited, at.homeserver.asks) == ([USER], None)
        await at.join()
        await at.settle()
        assert at.homeserver.asks is None  # nobody could write if it did not answer
        await at.look()
        assert at.homeserver.asks == OURS
        await at.bot.say(OLGA, "!policy off")
        await at.settle()
        assert at.homeserver.asks == {}


async def test_nobody_is_invited_where_everybody_may_come_in(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        at.homeserver.state["m.room.join_rules"] = {"join_rule": "public"}
        await at.turn_on()
        await at.settle()
        assert at.homeserver.invited == []


async def test_when_nobody_reaches_it_the_room_stops_asking_and_begins_again_later(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        at.up = False
        assert [await at.look() for _ in range(5)] == [[]] * 5
        assert at.homeserver.asks == OURS
        assert (await at.look(), at.homeserver.asks, at.steps()) == (["policy.told.down"], {}, ["on", "down"])
        assert (await at.look(), at.steps()) == ([], ["on", "down"])
        at.up = True
        assert (await at.look(), await at.look(BACK_AFTER_MS - 1), at.homeserver.asks) == ([], [], {})
        assert (await at.look(1), at.homeserver.asks) == (["policy.told.back"], OURS)
        assert at.steps() == ["on", "down", "back"]


async def test_a_room_that_is_left_asks_no_more(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        await at.bot.pipeline.commit(await at.states.give_back(ROOM))
        assert (at.homeserver.asks, at.steps()) == ({}, ["on", "off"])
        assert await at.states.give_back(ROOM) == ()


async def test_without_a_policy_server_in_the_settings_rooms_ask_no_more_and_owners_are_told(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        state = at.homeserver.state
    async with offline(tmp_path, "") as bot:
        async with bot.stores.database.read() as db:
            ((fact, told),) = await ended_asking(db, bot.config)
        await bot.pipeline.commit((fact,), actions=(told,))
        homeserver = Homeserver(state)
        action = AlignPolicy(room=ROOM)
        await PolicyStates(bot.services(homeserver), None).handle(action, "")
        assert (homeserver.asks, [each.key for each in told.lines]) == ({}, ["policy.gone"])
        async with bot.stores.database.read() as db:
            assert await ended_asking(db, bot.config) == []


async def test_without_one_in_the_settings_what_names_another_is_left_alone(tmp_path: Path) -> None:
    other = asking("other.example.org", "another")
    async with place(tmp_path) as at:
        await at.turn_on()
    async with offline(tmp_path, "") as bot:
        homeserver = Homeserver({"m.room.policy": other})
        states = PolicyStates(bot.services(homeserver), None, former_key=lambda: "key")
        await states.handle(AlignPolicy(room=ROOM), "")
        assert homeserver.asks == other
        homeserver.state["m.room.policy"] = OURS
        await states.handle(AlignPolicy(room=ROOM), "")
        assert homeserver.asks == {}


async def test_under_a_new_name_it_is_asked_by_that(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        at.homeserver.state["m.room.policy"] = asking("before.example.org", "key")
        await at.bot.pipeline.commit(actions=[AlignPolicy(room=ROOM)])
        assert (await at.settle(), at.homeserver.asks) == ([], OURS)


async def test_what_was_refused_before_it_left_the_settings_is_recorded(tmp_path: Path) -> None:
    async with offline(tmp_path, '[[rules]]\nname = "spam"\nkind = "terms"\nterms = ["buy now"]\n') as bot:
        refused = withheld(bot)
        store = await asyncio.to_thread(PolicyStore.open, bot.config.data_dir, bot.time())
        bad = KeptAnswer(
            refused.event, "hash", ROOM, accepted=False, at_ms=bot.time(), errcode="M_FORBIDDEN", text="No."
        )
        await store.keep(bad, note_of(refused))
        await asyncio.to_thread(store.close)
        reader, server = policy_parts(bot.services(Homeserver()), bot.config)
        assert (server, await reader.read(), await reader.read()) == (None, 1, 0)
        assert [fact.event for fact in bot.facts(MessageWithheld)] == [refused.event]


async def test_a_new_key_is_written_at_once(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        at.key = "another"
        await at.look()
        assert at.homeserver.asks == asking(NAME, "another")


async def test_what_a_stop_forgot_of_an_absence_is_known_from_the_tables(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        at.up = False
        await at.look(90_000)
        assert at.steps() == ["on", "down"]
    async with place(tmp_path) as at:
        async with at.bot.stores.database.read() as db:
            (room,) = await queries.rooms_that_ask(db)
        assert room.down_ms
        await at.watch.begin()
        await at.look()
        assert at.steps() == ["on", "down"]
        await at.look(BACK_AFTER_MS)
        assert at.steps() == ["on", "down", "back"]


async def test_without_the_power_the_owner_is_told_once_what_to_set(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        at.homeserver.allows = False
        await at.turn_on()
        await at.join()
        assert await at.look() == ["policy.by-hand"]
        await at.bot.pipeline.commit(actions=[AlignPolicy(room=ROOM)])
        assert await at.settle() == []
        await at.bot.event(OLGA, "m.room.policy", OURS, key="")  # set by hand, as told
        assert at.steps() == ["on"]


async def test_what_somebody_else_sets_is_told_and_left_alone(tmp_path: Path) -> None:
    other = {"via": "other.example.org", "public_keys": {"ed25519": "x"}}
    async with place(tmp_path) as at:
        await at.bot.event(MARK, "m.room.policy", other, key="")
        assert (await at.settle(), at.steps()) == (["policy.elsewhere"], [])
        at.homeserver.state["m.room.policy"] = other
        await at.turn_on()
        await at.join()
        assert (await at.look(), at.homeserver.asks) == (["policy.occupied"], other)
        at.homeserver.state["m.room.policy"] = {}
        await at.bot.pipeline.commit(actions=[AlignPolicy(room=ROOM)])
        await at.settle()
        assert at.homeserver.asks == OURS
        await at.bot.event(MARK, "m.room.policy", {}, key="")
        at.homeserver.state["m.room.policy"] = {}
        assert (await at.settle(), at.steps()) == (["policy.told.changed"], ["on", "changed"])
        assert (await at.look(), at.homeserver.asks) == ([], {})


async def test_another_key_for_our_server_is_put_right_and_the_owners_hear_who_set_it(tmp_path: Path) -> None:
    wrong = asking(NAME, "nobody's")
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        at.homeserver.state["m.room.policy"] = wrong
        await at.bot.event(MARK, "m.room.policy", wrong, key="")
        assert (await at.settle(), at.homeserver.asks, at.steps()) == (
            ["policy.other-key", "policy.put-right"],
            OURS,
            ["on"],
        )
        await at.bot.event(OLGA, "m.room.policy", OURS, key="")  # as it should be
        assert (await at.settle(), at.homeserver.asks, at.steps()) == ([], OURS, ["on"])
        at.homeserver.allows, at.homeserver.state["m.room.policy"] = False, wrong
        await at.bot.event(MARK, "m.room.policy", wrong, key="")
        assert await at.settle() == ["policy.other-key", "policy.by-hand"]


async def test_a_room_that_somebody_makes_ask_while_it_is_down_stops_again(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        at.up = False
        await at.look(90_000)
        at.homeserver.state["m.room.policy"] = OURS
        await at.bot.event(MARK, "m.room.policy", OURS, key="")
        assert (await at.settle(), at.homeserver.asks, at.steps()) == ([], {}, ["on", "down"])


async def test_with_an_authority_that_cannot_be_read_it_counts_as_down(tmp_path: Path) -> None:
    async with place(tmp_path, CONFIG + 'ca_file = "gone.pem"\n') as at:
        await at.turn_on()
        await at.join()
        at.homeserver.state["m.room.policy"] = OURS  # as it was set before
        services = at.bot.services(at.homeserver)
        watch, server = policy_parts(services, at.bot.config)
        assert isinstance(watch, PolicyWatch)
        at.watch, at.states = watch, PolicyStates(services, server)
        assert (await at.look(89_999), at.homeserver.asks) == ([], OURS)
        assert (await at.look(1), at.homeserver.asks, at.steps()) == (["policy.told.down"], {}, ["on", "down"])


async def test_what_was_known_while_no_room_asked_counts_no_more(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        await at.bot.say(OLGA, "!policy off")
        await at.settle()
        at.up = False
        await at.look()
        await at.bot.pipeline.commit((PolicyServerSet(room=ROOM, step="on", by=OLGA),))
        await at.settle()
        assert at.homeserver.asks == {}  # nobody could write if it did not answer
        at.up = True
        await at.look()
        assert at.homeserver.asks == OURS


async def test_where_a_group_moved_its_room_asks_and_the_old_one_no_more(tmp_path: Path) -> None:
    new = RoomId("!garden2:example.org")
    async with place(tmp_path) as at:
        await at.turn_on()
        await at.join()
        await at.look()
        old = at.homeserver.state
        at.homeserver.others[new] = {"m.room.join_rules": {"join_rule": "invite"}}
        await at.bot.enter_room(new, GroupCode("G-7F3K"), "group", LEVELS, "11", (OLGA, MARK))
        await at.settle()
        assert (old["m.room.policy"], at.homeserver.invited) == ({}, [USER])
        at.homeserver.others[new][f"m.room.member {USER}"] = {"membership": "join"}
        await at.bot.membership(USER, "join", room=new)
        await at.settle()
        assert at.homeserver.others[new]["m.room.policy"] == OURS
        assert old["m.room.policy"] == {}


async def test_refusals_are_read_recorded_once_and_said_to_be(tmp_path: Path) -> None:
    async with place(tmp_path, CONFIG + '[[rules]]\nname = "spam"\nkind = "terms"\nterms = ["buy now"]\n') as at:
        first, second = withheld(at.bot), withheld(at.bot)
        at.notes.notes = [
            GivenNote(7, note_of(first)),
            GivenNote(8, "nonsense"),
            GivenNote(9, note_of(second)),
            GivenNote(10, "[]"),
        ]
        assert (await at.watch.read(), await at.watch.read()) == (4, 0)
        assert [fact.event for fact in at.bot.facts(MessageWithheld)] == [first.event, second.event]
        async with at.bot.stores.database.read() as db:
            assert await queries.get_meta(db, "policy_seq") == "10"


async def test_the_user_of_the_policy_server_is_nobody_who_must_be_verified(tmp_path: Path) -> None:
    asks = '[[verification.rooms]]\nrooms = ["*"]\nwrite = 1\nbelow = "remove"\ngrace = "1h"\n'
    async with place(tmp_path, CONFIG + asks) as at:
        await at.join()
        for _ in range(4):
            await at.bot.pass_time(MS_PER["h"])
            await at.bot.scheduler.do_what_is_due()
        told = {getattr(row.action, "subject", None) for row in await at.bot.waiting()}
        assert ANNA in told and USER not in told


def test_the_setting_is_written_as_the_specification_has_it() -> None:
    assert json.dumps(OURS) == '{"via": "policy.example.org", "public_keys": {"ed25519": "key"}}'
