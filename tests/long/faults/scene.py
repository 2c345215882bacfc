"""The scene before a story: a bot that protects a group, its desk, and the state of the homeserver."""

import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.homeserver_rooms import Room, seed
from tests.fakes.times import clock_at, noon_clock
from tests.long.faults.group import Group, Said
from tests.long.faults.people import People, SealedPeople
from tests.long.faults.play import Play
from tests.long.faults.running import Place, Running

CONFIG = """
[homeserver]
url = "{url}"
user = "{user}"
[bot]
data_dir = "{data}"
allow_invites = ["*:simulated.example.org"]
digest = ""
"""


async def _nothing(_group: Group) -> None:
    """Let nothing happen before the story except that the bot comes."""


@dataclass(frozen=True)
class Story:
    """A story to be played."""

    name: str
    rules: str  # and other settings, while it is played
    members: Sequence[str]
    meanwhile: Sequence[tuple[str, str]]  # what people say while the bot is away: who, and what
    play: type[Play]
    managers: Sequence[str] = ("manager",)
    before: str = ""  # the settings before it is played, if they are others
    prepare: Callable[[Group], Awaitable[None]] = _nothing  # what happens before, while the bot is there
    sets_time: bool = False  # whether the bot's clock is set forward in it

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody."""
        return ("owner", *self.managers, *self.members)


@dataclass
class Start:
    """The scene before the story: the present bot's folder and homeserver."""

    story: Story
    folder: Path
    server: SimulatedHomeserver
    session: tuple[str, str, str]
    room: str
    desk: str
    accounts: dict[str, tuple[str, str, str]]
    tokens: dict[str, str]  # sync token of each person's device; empty if nothing is encrypted
    meanwhile: list[Said]
    at_ms: int  # the homeserver's time at its end, at which each story begins
    ahead_ms: int  # by which the bot's time is ahead of that

    @property
    def people(self) -> Path:
        """The folder with the keys of people's devices."""
        return self.folder / "people"

    @property
    def config(self) -> str:
        """The bot's settings in the story."""
        return CONFIG + self.story.rules

    def running(
        self,
        folder: Path,
        server: SimulatedHomeserver,
        place: Place | None = None,
        bot: Callable[..., Running] = Running,
    ) -> Running:
        """Return the bot, on a homeserver like that of the scene, before it plays the story."""
        running = bot(folder, server, self.session, self.config, place, sets_time=self.story.sets_time)
        running.ahead.ms += self.ahead_ms
        return running


async def scene(folder: Path, story: Story, *, encrypted: bool = False, bot: Callable[..., Running] = Running) -> Start:
    """Set up a room that the bot protects, and its desk with everybody in it."""
    async with SimulatedHomeserver(clock=noon_clock()) as server:
        session = server.account("bot")
        accounts = {name: server.account(name) for name in story.names}
        users = {name: account[0] for name, account in accounts.items()}
        people = (
            await SealedPeople.open(server, folder / "people", accounts, {}) if encrypted else People(server, users)
        )
        await people.listen()
        room = _room(server, story, users, session[0], encrypted=encrypted)
        running = bot(folder, server, session, CONFIG + (story.before or story.rules), sets_time=story.sets_time)
        await running.start()
        desk = await running.until(
            lambda: _first(running.rows("SELECT room FROM rooms WHERE purpose = 'desk'")), "a desk"
        )
        for user in (users["owner"], *(users[name] for name in story.managers)):
            await running.until(partial(_is_invited, server.world.rooms[desk], user), "an invitation")
            server.world.join(desk, user)
        server.tell()
        await running.until(running.is_idle, "the bot to have said everything")
        await story.prepare(Group(running, people, room.id, desk))
        await running.stop()
        await people.listen()
        meanwhile = [
            (name, *await people.sealed(name, room, body), f"{name}: {body}") for name, body in story.meanwhile
        ]
        tokens = people.tokens if isinstance(people, SealedPeople) else {}
        await people.close()
    at_ms, ahead_ms = server.world.clock(), running.passed_ms
    return Start(story, folder, server, session, room.id, desk, accounts, tokens, meanwhile, at_ms, ahead_ms)


def _room(server: SimulatedHomeserver, story: Story, users: dict[str, str], bot: str, *, encrypted: bool) -> Room:
    world = server.world
    room = world.create(users["owner"], {"name": "Teahouse", "room_version": "10"})
    if encrypted:
        world.add(room, users["owner"], "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}, "")
    seed(world, room, [users[name] for name in story.names[1:]])
    levels = dict(room.content("m.room.power_levels") or {})
    levels["users"] = {**levels["users"], **{users[name]: 50 for name in story.managers}, bot: 100}
    world.add(room, users["owner"], "m.room.power_levels", levels, "")
    world.invite(room, users["owner"], bot)
    return room


def again_at(start: Start) -> SimulatedHomeserver:
    """Return another homeserver with the state and the time that the one of the scene had at its end."""
    other = SimulatedHomeserver()
    for name in ("world", "keys", "devices", "_tokens", "_done", "_data"):
        setattr(other, name, copy.deepcopy(getattr(start.server, name)))
    other.world.clock = clock_at(start.at_ms)
    return other


def _is_invited(room: Room, user: str) -> bool:
    return room.membership(user) == "invite"


def _first(rows: list[tuple[Any, ...]]) -> Any:
    return rows[0][0] if rows else None
