"""A story: a policy list that the bot begins to watch names the servers of two people here, and later one no longer.

The bot enters the list's room and denies both servers in the room's ACL. Then the list takes one entry back, and that
server is let in again.
"""

from bot.effects.server_acl import PAUSE_MS
from moderation.values.power_levels import SERVER_ACL
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
acl = true
"""
SERVERS = ("bad.example", "worse.example")


async def prepare(group: Group) -> None:
    """Let a stranger of each server join, and the owner make a public list that names both servers."""
    world, owner = group.world, group.users["owner"]
    for server in SERVERS:
        stranger = f"@stranger:{server}"
        world.add(group.room, stranger, "m.room.member", {"membership": "join"}, stranger)
    room = world.rooms[LIST] = Room(LIST, "10")
    world.add(room, owner, "m.room.create", {"room_version": "10"}, "")
    world.add(room, owner, "m.room.member", {"membership": "join"}, owner)
    world.add(room, owner, "m.room.power_levels", {"users": {owner: 100}}, "")
    world.add(room, owner, "m.room.join_rules", {"join_rule": "public"}, "")
    for server in SERVERS:
        entry = {"entity": server, "recommendation": "m.ban", "reason": "spam"}
        world.add(room, owner, "m.policy.rule.server", entry, server)
    group.running.server.tell()
    await group.running.until(lambda: _are_known(group), "the strangers to be known")


def _are_known(group: Group) -> bool:
    known = {user for (user,) in group.running.rows("SELECT user FROM members")}
    return {f"@stranger:{server}" for server in SERVERS} <= known and group.running.is_idle()


class ListedServers(Play):
    """The story in which one entry is taken back, longer after the first write than writes have to be apart."""

    async def act(self) -> None:
        if self._denied() != list(SERVERS) or not self.running.is_idle():
            return
        if not self.running.passed_ms:
            self.running.pass_by(PAUSE_MS)
        elif self.once("taken back"):
            self.world.add(self.world.rooms[LIST], self.users["owner"], "m.policy.rule.server", {}, SERVERS[1])
            self.running.server.tell()

    def is_at_its_end(self) -> bool:
        return self._denied() == [SERVERS[0]] and not self.once("taken back")

    def _denied(self) -> list[str]:
        return list((self.room.content(SERVER_ACL) or {}).get("deny", ()))

    def wrong(self) -> dict[str, object]:
        """Check that each server has one case and one denial, and that the ACL says no more."""
        rows = self.running.rows
        cases = rows("SELECT rule, state FROM cases")
        named = rows("SELECT DISTINCT server, n, step FROM listed_servers ORDER BY n")
        denials = rows("SELECT server, n, basis, ended > 0 FROM sanctions WHERE kind = 'server' ORDER BY n")
        wanted = (
            [("listed_server", "decided")] * 2,
            [(server, n, "apply") for n, server in enumerate(SERVERS, 1)],
            [(server, n, "list", n - 1) for n, server in enumerate(SERVERS, 1)],
        )
        content = self.room.content(SERVER_ACL)
        written = {"allow": ["*"], "deny": [SERVERS[0]], "allow_ip_literals": True}
        found = (cases, named, denials)
        return {} if (found, content) == (wanted, written) else {"done otherwise": (found, content)}


LISTED_SERVERS = Story(
    "listed-servers",
    RULES,
    ("ann",),
    (("ann", "good morning"),),
    ListedServers,
    before="\n",
    prepare=prepare,
    sets_time=True,
)
