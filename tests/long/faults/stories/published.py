"""A story: a member breaks a grave rule while the bot is away, and is put on a policy list of our own.

The owner upholds the case and publishes it; later the owner finds that it was wrong, and the entry is taken back.
"""

from itertools import groupby

from moderation.lists.publishing import content, state_key
from moderation.values.ids import CaseNumber, UserId
from tests.fakes.homeserver_rooms import Room
from tests.long.faults.group import Group
from tests.long.faults.play import Play
from tests.long.faults.scene import Story

LIST = "!ours:simulated.example.org"
TYPE = "m.policy.rule.user"
RULES = f"""
[[lists.publish]]
name = "ours"
room = "{LIST}"
[[rules]]
name = "no-cellars"
kind = "terms"
class = "serious"
decide = "manager"
measure = "ban"
terms = ["cellar"]
"""
MEMBERS = ("ann", "ben")


async def prepare(group: Group) -> None:
    """Let the owner make a public room in which the bot may write a list."""
    world, owner = group.world, group.users["owner"]
    room = world.rooms[LIST] = Room(LIST, "10")
    world.add(room, owner, "m.room.create", {"room_version": "10"}, "")
    world.add(room, owner, "m.room.member", {"membership": "join"}, owner)
    world.add(room, owner, "m.room.power_levels", {"users": {owner: 100, group.bot: 50}}, "")
    world.add(room, owner, "m.room.join_rules", {"join_rule": "public"}, "")


class Published(Play):
    """The story in which an entry is published and taken back."""

    async def act(self) -> None:
        if not self.running.is_idle() or self.card(1) is None:
            return
        if self.once("uphold"):
            await self.say("owner", "!uphold 1 see the rules", self.desk)
        elif self.room.membership(self.users["ann"]) == "ban" and self.once("publish"):
            await self.say("owner", "!publish 1 ours spam", self.desk)
        elif self._written() and self.once("wrong"):
            await self.say("owner", "!dismiss 1 it was another cellar", self.desk)

    def is_at_its_end(self) -> bool:
        return self._written()[-1:] == [{}]

    def _written(self) -> list[object]:
        return [event.raw["content"] for event in self.world.rooms[LIST].events if event.raw["type"] == TYPE]

    def wrong(self) -> dict[str, object]:
        """Check that the entry was written and emptied, at most with repeats of the same."""
        ann = UserId(self.users["ann"])
        wanted = [content(ann, "ours", CaseNumber(1), "spam", hashed=True), {}]
        written = [each for each, _ in groupby(self._written())]
        keys = {event.raw["state_key"] for event in self.world.rooms[LIST].events if event.raw["type"] == TYPE}
        return {} if (written, keys) == (wanted, {state_key(ann)}) else {"written otherwise": (written, keys)}


PUBLISHED = Story("published", RULES, MEMBERS, (("ann", "down in the cellar"),), Published, prepare=prepare)
