"""Attack: an order for all rooms where its giver has no right, is not there any more, or stands below the person.

The rights are written down here a second time, from the documents and not from the code.
"""

import json
import random
from pathlib import Path

from moderation.model.facts import Fact, SanctionEnded, SanctionStarted
from moderation.values.ids import GroupCode, RoomId
from tests.door.offline import ANNA, BOT, MARK, OLGA, ROOM, RULES, Offline, offline

ROUNDS = 20
CODES = {ROOM: "G-7F3K", **{RoomId(f"!room{n}:example.org"): f"G-RM{n}2" for n in range(2, 6)}}
FOREIGN = RoomId("!room5:example.org")  # of another community
TRUSTED = [code for room, code in CODES.items() if room != FOREIGN]
CONFIG = f"""[groups]
everywhere_confirm = 99
[communities]
[[communities.named]]
name = "estate"
rooms = {json.dumps(TRUSTED)}
"""
NEEDED = 50  # for all of it, unless the room says otherwise


def measures(bot: Offline) -> list[SanctionStarted | SanctionEnded]:
    """Return everything that was begun or ended."""
    return [fact for fact in bot.facts(Fact) if isinstance(fact, SanctionStarted | SanctionEnded)]


async def test_no_order_for_all_rooms_does_more_than_its_giver_could_in_each(tmp_path: Path) -> None:
    chance = random.Random(11)
    done, facts = 0, list[SanctionStarted | SanctionEnded]()
    async with offline(tmp_path, CONFIG + RULES) as bot:
        for room, code in CODES.items():
            if room != ROOM:
                levels = {"users": {OLGA: 100, BOT: 100}}
                await bot.enter_room(room, GroupCode(code), "group", levels, "11", (OLGA, MARK, ANNA))
        for _ in range(ROUNDS):
            rights = {room: (chance.choice([0, 25, 50, 50, 99]), chance.choice([0, 0, 0, 50, 75])) for room in CODES}
            there = {room: room == ROOM or chance.random() < 0.7 for room in CODES}
            rights[ROOM] = (50, 0)
            for room, (mine, theirs) in rights.items():
                users = {OLGA: 100, BOT: 100, MARK: mine, ANNA: theirs}
                await bot.event(OLGA, "m.room.power_levels", {"users": users}, key="", room=room)
                await bot.membership(MARK, "join" if there[room] else chance.choice(["leave", "ban"]), room)
            await bot.say(MARK, f"!{chance.choice(['ban', 'mute', 'kick', 'unban', 'unmute'])} {ANNA} everywhere")
            seen, facts = len(facts), measures(bot)
            for fact in facts[seen:]:
                assert fact.room is not None and fact.by == MARK
                mine, theirs = rights[fact.room]
                assert (there[fact.room], fact.room != FOREIGN, mine >= NEEDED, mine > theirs) == (True,) * 4, fact
                done += fact.room != ROOM
            bot.time.ms += 2 * 3_600_000
    assert done >= ROUNDS // 4, "hardly any order reached another room"
