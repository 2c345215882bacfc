"""A story: a policy list that the bot begins to watch names two members, and later one of them no longer.

The bot comes, enters the list's room, and bans both. Then the list takes one entry back, and that ban ends.
"""

from tests.fakes.homeserver_rooms import Room
from tests.long.faults.group import Group
from tests.long.faults.play import Play
from tests.long.faults.scene import Story

LIST = "!bans:simulated.example.org"
RULES = f"""
[[lists.watch]]
name = "bans"
room = "{LIST}"
trust = "apply"
"""
MEMBERS = ("ann", "ben", "cat")


async def prepare(group: Group) -> None:
    """Let the owner make a public list that names two members."""
    world, users = group.world, group.users
    room = world.rooms[LIST] = Room(LIST, "10")
    owner = users["owner"]
    world.add(room, owner, "m.room.create", {"room_version": "10"}, "")
    world.add(room, owner, "m.room.member", {"membership": "join"}, owner)
    world.add(room, owner, "m.room.power_levels", {"users": {owner: 100}}, "")
    world.add(room, owner, "m.room.join_rules", {"join_rule": "public"}, "")
    for name in ("ann", "ben"):
        entry = {"entity": users[name], "recommendation": "m.ban", "reason": "spam"}
        world.add(room, owner, "m.policy.rule.user", entry, name)


class Lists(Play):
    """The story in which one entry is taken back."""

    async def act(self) -> None:
        if self._stand() == ["ban", "ban", "join"] and self.running.is_idle() and self.once("taken back"):
            self.world.add(self.world.rooms[LIST], self.users["owner"], "m.policy.rule.user", {}, "ben")
            self.running.server.tell()

    def is_at_its_end(self) -> bool:
        return self._stand() == ["ban", "leave", "join"]

    def _stand(self) -> list[str]:
        return [self.room.membership(self.users[name]) for name in MEMBERS]

    def wrong(self) -> dict[str, object]:
        """Check that each of the two has one case, one match and one ban."""
        rows = self.running.rows
        cases, matches = rows("SELECT count(*) FROM cases"), rows("SELECT count(*) FROM list_matches")
        bans = rows("SELECT subject, ended > 0 FROM sanctions WHERE kind = 'ban' ORDER BY subject")
        as_listed = (cases, matches, [ended for _, ended in bans]) == ([(2,)], [(2,)], [0, 1])
        return {} if as_listed else {"done otherwise": (cases, matches, bans)}


LISTS = Story("lists", RULES, MEMBERS, (("cat", "good morning"),), Lists, before="\n", prepare=prepare)
