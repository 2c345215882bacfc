"""A raid of sixty accounts in three of twelve rooms: what catches each kind of spam, and for how long it can be seen.

    python -m bench.raid [--json FILE] [--people N] [--rooms N] [--raided N] [--only-rules]

Each raider enters the raided rooms one after the other and sends two messages of its kind in each. When the bot has
done what it does by itself, a manager removes by hand those who are left, and each raider tries to enter one of the
other rooms. It prints a table after each of the two acts.
"""

import argparse
import asyncio
import math
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from moderation.values.ids import RoomId, UserId

from .figures import Figure, measure
from .raid_kinds import ENTERING, KINDS, NAME, Raider, enters
from .raid_outcome import HEAD, Outcome, answers, figures, outcomes, row
from .raid_world import Answerable, Community, DefaultSynapse

RULES = """
[[communities.named]]
name = "club"
rooms = ["*"]
[[rules]]
name = "words"
kind = "terms"
class = "moderate"
terms = ["purple elephant"]
[[rules]]
name = "pictures"
kind = "media"
class = "minor"
kinds = []
[[rules]]
name = "flood"
kind = "flood"
class = "minor"
messages = 10
within = "10s"
"""
ORDER = "!ban {user} 30d everywhere{again} raid"
_ASKED = re.compile(r"everywhere (\d+)")
PROTECTIONS = """
[newcomers]
hold = ["links", "media", "mentions", "invites"]
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--rooms", type=int, default=12)
    parser.add_argument("--raided", type=int, default=3)
    parser.add_argument("--only-rules", action="store_true", help="without the protections against raids")


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-raid-"))
    try:
        yield from asyncio.run(_all(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _all(options: argparse.Namespace, folder: Path) -> list[Figure]:
    async with await DefaultSynapse.start(folder / "synapse") as synapse, Community(synapse) as community:
        await community.build(options.rooms)
        bot = Answerable(folder / "bot", RULES + PROTECTIONS * (not options.only_rules))
        try:
            await bot.start(synapse, await community.person("bot"), community.owner)
            return await raid(community, bot, options.people, options.raided)
        finally:
            await bot.stop()


async def raid(community: Community, bot: Answerable, people: int, raided: int) -> list[Figure]:
    """Play both acts. Returns their figures."""
    await bot.protect(community)
    rooms, kinds = community.rooms[:raided], list(KINDS)
    raiders = [Raider(await community.person("raider"), kinds[n % len(kinds)]) for n in range(people)]
    for number, raider in enumerate(raiders):
        await raider.dress(number)
    began = time.monotonic()
    await asyncio.gather(*(raider.spam(rooms, community.anchors) for raider in raiders))
    lasted = time.monotonic() - began
    await bot.quiet()
    found = [Figure("the raid itself", "s", lasted), Figure("by itself: bot done after", "s", time.monotonic() - began)]
    outcome = await _look("by itself", community, bot, rooms, raiders, math.inf)
    found += figures(outcome, median([wait for raider in raiders for wait in raider.waits] or [0.0]))
    found += [Figure(f"by itself: {name}", "", count) for name, count in bot.said().items()]
    return [*found, *await _by_hand(community, bot, rooms, raiders), await _elsewhere(community, rooms, raiders)]


async def _by_hand(community: Community, bot: Answerable, rooms: list[RoomId], raiders: list[Raider]) -> list[Figure]:
    """Let a manager remove whoever is left in the raided rooms."""
    members = [await community.owner.members(room) for room in rooms]
    left = [r.client.user for r in raiders if any(there.get(r.client.user) == "join" for there in members)]
    began, began_ms = time.monotonic(), time.time() * 1000
    typed = await _order(community, bot, rooms[0], left)
    took = time.monotonic() - began
    standing = {
        name: outcome.standing
        for name, outcome in (await _look("by hand", community, bot, rooms, raiders, began_ms)).items()
    }
    inside = standing.pop(ENTERING) + standing.pop(NAME)
    return [
        Figure("by hand: commands", "", typed),
        Figure("by hand: bot done after", "s", took),
        Figure("by hand: memberships left", "", inside),
        Figure("by hand: messages standing", "", sum(standing.values())),
    ]


async def _order(community: Community, bot: Answerable, room: RoomId, users: list[UserId]) -> int:
    """Order each person's ban, and confirm the order where the bot asks for it. Returns the number of commands."""
    said = {await community.manager.send_text(room, ORDER.format(user=user, again="")): user for user in users}
    await bot.quiet()
    numbers = {
        answers(event): _ASKED.search(event["content"].get("body", "")) for event in await community.timeline(room)
    }
    asked = {user: found[1] for event, user in said.items() if (found := numbers.get(event))}
    for user, number in asked.items():
        await community.manager.send_text(room, ORDER.format(user=user, again=f" {number}"))
    await bot.quiet()
    return len(said) + len(asked)


async def _look(
    when: str, community: Community, bot: Answerable, rooms: list[RoomId], raiders: list[Raider], by_hand_ms: float
) -> dict[str, Outcome]:
    timelines = [await community.timeline(room) for room in rooms]
    found = outcomes(timelines, raiders, bot.causes(), by_hand_ms)
    print(f"\n{when}\n{HEAD}", *(row(name, outcome) for name, outcome in found.items()), "", sep="\n", flush=True)
    return found


async def _elsewhere(community: Community, rooms: list[RoomId], raiders: list[Raider]) -> Figure:
    others = community.rooms[len(rooms) :]
    tries = [enters(raider.client, others[n % len(others)]) for n, raider in enumerate(raiders)] if others else []
    return Figure("raiders who could enter another room", "", sum(await asyncio.gather(*tries)))


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
