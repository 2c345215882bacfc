"""A story: orders for three rooms at once, of which one is reversed by an appeal.

While the bot is away, one person advertises; a manager bans them from all rooms with what they wrote, and mutes another
in all of them. The bot comes and does it, removing each message once. The person who is banned appeals, the owner
reverses it, and they are invited back everywhere; the mutes stay.
"""

from collections import Counter
from functools import partial

from tests.fakes.homeserver_rooms import Room, seed
from tests.long.faults.group import Group
from tests.long.faults.play import Play
from tests.long.faults.scene import Story

RULES = """
[communities]
default = "deployment"
"""
OTHERS = ("Kitchen", "Cellar")
MEMBERS = ("ann", "ben")
MEANWHILE = (
    *(("ann", f"buy now {n}") for n in range(6)),
    ("manager", "!ban @ann:simulated.example.org 1d everywhere redact 24h advertising"),
    ("manager", "!mute @ben:simulated.example.org 1d everywhere"),
)
WRITTEN = ("m.room.message", "m.room.encrypted")
PROTECTED = "SELECT count(*) FROM rooms WHERE purpose = 'group' AND condition = 'protected'"


async def prepare(group: Group) -> None:
    """Let the owner make two more rooms with the same people, and invite the bot."""
    world, users = group.world, group.users
    owner = users["owner"]
    for name in OTHERS:
        room = world.create(owner, {"name": name, "room_version": "10"})
        seed(world, room, [user for user in users.values() if user != owner])
        levels = dict(room.content("m.room.power_levels") or {})
        levels["users"] = {**levels["users"], users["manager"]: 50, group.bot: 100}
        world.add(room, owner, "m.room.power_levels", levels, "")
        if (sealed := group.room.content("m.room.encryption")) is not None:
            world.add(room, owner, "m.room.encryption", dict(sealed), "")
        world.invite(room, owner, group.bot)
    group.running.server.tell()
    await group.running.until(partial(_is_ready, group), "all rooms to be protected")


async def _is_ready(group: Group) -> bool:
    await group.people.listen()
    group.accept()
    return group.running.rows(PROTECTED) == [(1 + len(OTHERS),)] and group.running.is_idle()


class Everywhere(Play):
    """The story in which one order is reversed."""

    async def act(self) -> None:
        if not self.running.is_idle():
            return
        for room in self.direct("ann"):
            if self.hears(room, "!appeal") and set(self._stand("ann")) == {"ban"} and self.once("appeal"):
                await self.say("ann", "!appeal 1 it was my nephew", room)
        if self.hears(self.desk, "my nephew") and self.once("heard"):
            await self.say("owner", "!dismiss 1 so it was", self.desk)

    def is_at_its_end(self) -> bool:
        return self.running.rows("SELECT state FROM cases ORDER BY n") == [("reversed",), ("decided",)]

    def _rooms(self) -> list[Room]:
        return [room for room in self.world.rooms.values() if room.creator == self.users["owner"]]

    def _stand(self, name: str) -> list[str]:
        return [room.membership(self.users[name]) for room in self._rooms()]

    def wrong(self) -> dict[str, object]:
        """Check that both orders hold in all rooms or in none, and that each was told in one message."""
        there, muted = self._stand("ann"), [room.level(self.users["ben"]) for room in self._rooms()]
        told = {name: self._words(name) for name in MEMBERS}
        as_told = (there, muted, told) == (["invite"] * 3, [-1] * 3, {"ann": 2, "ben": 1})
        here = [event for room, event in self.world.order if room is self.room]
        gone = Counter(event.raw["redacts"] for event in here if event.raw["type"] == "m.room.redaction")
        ann = self.users["ann"]
        swept = [gone[e.id] for e in here if e.raw["sender"] == ann and e.raw["type"] in WRITTEN]
        wrong: dict[str, object] = {} if as_told else {"told otherwise": (there, muted, told)}
        return wrong if swept == [1] * 6 else {**wrong, "swept otherwise": swept}

    def _words(self, name: str) -> int:
        """Return how many messages that name all the rooms somebody got."""
        said = [self.body(e.raw) for room in self.direct(name) for e in room.events if e.raw["sender"] == self.bot]
        return sum(all(other in body for other in OTHERS) for body in said)


EVERYWHERE = Story("everywhere", RULES, MEMBERS, MEANWHILE, Everywhere, prepare=prepare)
