"""A raid of sixty accounts in three of twelve rooms: what catches each kind of spam, and for how long it can be seen.

    python -m bench.raid [--json FILE] [--people N] [--rooms N] [--raided N] [--lockdown S] [--cards N]
                         [--without NAME]

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
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from moderation.model.actions.base import ANSWER, NOTICE, STATE
from moderation.model.facts import CaseOpened, WaveNoticed
from moderation.values.ids import RoomId, UserId
from tests.people.client import Client

from .figures import Figure, measure
from .raid_kinds import ENTERING, KINDS, NAME, Raider, enters
from .raid_outcome import HEAD, Event, Outcome, RaidedRoom, answers, figures, is_said, outcomes, replaces, row
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
where = ["body", "formatted", "caption", "filename", "reaction"]
[[rules]]
name = "names"
kind = "terms"
class = "serious"
measure = "kick"
where = ["display_name"]
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
ORDER = "!ban {user} 30d everywhere{again} redact 1h raid"
_ASKED = re.compile(r"everywhere (\d+)")
NEWCOMERS = """
[newcomers]
hold = ["links", "media", "mentions", "invites"]
"""
CARDS = """
[groups]
cards = {cards}
"""
WAVES = """
[joins]
wave = {wave}
within = "{within}"
do = "gate"
undo = "kick"
"""
PROTECTIONS = {"newcomers": NEWCOMERS, "waves": WAVES.format(wave=20, within="1m")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--rooms", type=int, default=12)
    parser.add_argument("--raided", type=int, default=3)
    parser.add_argument("--lockdown", type=float, nargs=1, default=(), metavar="SECONDS", help="when the owner does it")
    parser.add_argument("--cards", type=int, default=4, help="how many cases of a room have cards of their own; 0: all")
    parser.add_argument("--without", choices=PROTECTIONS, action="append", default=[], help="leave a protection out")


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
        settings = [text for name, text in PROTECTIONS.items() if name not in options.without]
        bot = Answerable(folder / "bot", "".join([RULES, CARDS.format(cards=options.cards), *settings]))
        try:
            await bot.start(synapse, await community.person("bot"), community.owner)
            return await raid(community, bot, options.people, options.raided, options.lockdown)
        finally:
            await bot.stop()


async def raid(
    community: Community, bot: Answerable, people: int, raided: int, lockdown: Sequence[float] = ()
) -> list[Figure]:
    """Play both acts. Returns their figures. `lockdown`: the owner locks the rooms so many seconds after the start."""
    await bot.protect(community)
    rooms, kinds = community.rooms[:raided], list(KINDS)
    raiders = [Raider(await community.person("raider"), kinds[n % len(kinds)]) for n in range(people)]
    for number, raider in enumerate(raiders):
        await raider.dress(number)
    before = len(await _said_in_desks(community, bot))
    began = time.monotonic()
    spam = [raider.spam(rooms, community.anchors) for raider in raiders]
    await asyncio.gather(*spam, *(_lock(community.owner, rooms, each) for each in lockdown))
    lasted = time.monotonic() - began
    await bot.quiet(*(event for raider in raiders for event in raider.taken), up_to=STATE)
    found = [Figure("the raid itself", "s", lasted), Figure("by itself: done after", "s", time.monotonic() - began)]
    outcome = await _look("by itself", community, bot, rooms, raiders, math.inf)
    found += figures(outcome, median([wait for raider in raiders for wait in raider.waits] or [0.0]))
    found += [
        Figure("by itself: cases", "", bot.count(CaseOpened)),
        Figure("by itself: waves", "", bot.count(WaveNoticed)),
        *await _desk(community, bot, before),
    ]
    return [*found, *await _by_hand(community, bot, rooms, raiders), await _elsewhere(community, rooms, raiders)]


async def _said_in_desks(community: Community, bot: Answerable) -> list[Event]:
    """Return what the bot said in its desks, oldest first."""
    said = [event for desk in bot.desks() for event in await community.timeline(desk) if is_said(event, bot.user)]
    return sorted(said, key=lambda event: int(event["origin_server_ts"]))


async def _desk(community: Community, bot: Answerable, before: int) -> list[Figure]:
    """Count what the managers got to read in their desks after the first `before` messages, once all is said."""
    await bot.quiet(up_to=NOTICE)
    said = (await _said_in_desks(community, bot))[before:]
    new = [event for event in said if not replaces(event)]
    return [
        Figure("by itself: messages in the desk", "", len(new)),
        Figure("by itself: edits in the desk", "", len(said) - len(new)),
    ]


async def _lock(owner: Client, rooms: list[RoomId], after_s: float) -> None:
    await asyncio.sleep(after_s)
    for room in rooms:
        await owner.send_text(room, "!lockdown 15m raid")


async def _by_hand(community: Community, bot: Answerable, rooms: list[RoomId], raiders: list[Raider]) -> list[Figure]:
    """Let a manager remove whoever is left in the raided rooms."""
    inside = [(room, await community.inside(room)) for room in rooms]
    users = [raider.client.user for raider in raiders]
    left = {user: room for room, there in reversed(inside) for user in users if user in there}
    began, began_ms = time.monotonic(), time.time() * 1000
    typed = await _order(community, bot, left)
    took = time.monotonic() - began
    standing = {
        name: outcome.standing
        for name, outcome in (await _look("by hand", community, bot, rooms, raiders, began_ms)).items()
    }
    stay = standing.pop(ENTERING) + standing.pop(NAME)
    return [
        Figure("by hand: commands", "", typed),
        Figure("by hand: done after", "s", took),
        Figure("by hand: memberships left", "", stay),
        Figure("by hand: messages standing", "", sum(standing.values())),
    ]


async def _order(community: Community, bot: Answerable, left: dict[UserId, RoomId]) -> int:
    """Order each person's ban, the first one alone: the bot asks about orders for many rooms once in a while.

    Returns the number of commands.
    """
    orders = list(left.items())
    asked = 0
    for user, room in orders[:1]:
        said = await community.manager.send_text(room, ORDER.format(user=user, again=""))
        await bot.quiet(said, up_to=ANSWER)
        told = [event["content"].get("body", "") for event in await community.timeline(room) if answers(event) == said]
        for number in _ASKED.findall(" ".join(told)):
            await bot.quiet(await community.manager.send_text(room, ORDER.format(user=user, again=f" {number}")))
            asked += 1
    await bot.quiet(
        *[await community.manager.send_text(room, ORDER.format(user=user, again="")) for user, room in orders[1:]]
    )
    return len(orders) + asked


async def _look(
    when: str, community: Community, bot: Answerable, rooms: list[RoomId], raiders: list[Raider], by_hand_ms: float
) -> dict[str, Outcome]:
    now = [RaidedRoom(await community.timeline(room), await community.inside(room)) for room in rooms]
    found = outcomes(now, raiders, bot.causes(), by_hand_ms)
    print(f"\n{when}\n{HEAD}", *(row(name, outcome) for name, outcome in found.items()), "", sep="\n", flush=True)
    return found


async def _elsewhere(community: Community, rooms: list[RoomId], raiders: list[Raider]) -> Figure:
    others = community.rooms[len(rooms) :]
    tries = [enters(raider.client, others[n % len(others)]) for n, raider in enumerate(raiders)] if others else []
    return Figure("raiders who could enter another room", "", sum(await asyncio.gather(*tries)))


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
