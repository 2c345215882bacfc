"""Recorded events judged again, over tables rebuilt from the records, give the facts that were recorded."""

from pathlib import Path
from random import Random

from moderation.model.facts import Fact, Found, FoundOnTrial
from moderation.values.ids import UserId
from tests.door.judged_again import OF_RULES, judged_again, of_rules
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, OLGA, Offline, offline

BRIDGED = UserId("@_irc_ben:example.org")
RULES = """
[verification]
methods = ["vouch"]
[tiers]
slow_every = "1s"
[newcomers]
for = "2m"
[[rules]]
name = "links"
kind = "terms"
measure = "redact"
terms = ["forbidden"]
unless = { messages = 4, users = ["@_irc_*:example.org"] }
[[rules]]
name = "ads"
kind = "terms"
class = "serious"
decide = "manager"
interim = "mute"
mute_for = "1m"
terms = ["buy"]
unless = { verified = 2 }
[[rules]]
name = "rumours"
kind = "terms"
class = "severe"
dry_run = true
terms = ["rumour"]
unless = { in_room_for = "10m" }
[[rules]]
name = "flood"
kind = "flood"
messages = 6
within = "30s"
unless = { in_room_for = "1h" }
"""
WORDS = ("hello", "forbidden", "buy this", "a rumour", "forbidden rumour", "buy forbidden", "https://x.example")


async def story(bot: Offline, seed: int) -> None:
    """Let people talk, come and go, be vouched for, decided about, made managers, and write rules."""
    random, people = Random(seed), (ANNA, ANNA, MARK, BRIDGED, BRIDGED, MINA)
    await bot.membership(BRIDGED, "join")
    for number in range(120):
        bot.time.ms += random.choice((100, 2_000, 2_000, 20_000, 120_000))
        await bot.say(random.choice(people), random.choice(WORDS))
        match number:
            case 30:
                await bot.say(MARK, f"!vouch {ANNA}")
            case 45:
                await bot.say(MARK, '!rule add gossip terms "hello" minor redact unless verified 1', room=DESK)
            case 60:
                await bot.say(MARK, "!slow 5s")
            case 75:
                await bot.levels(OLGA, {OLGA: 100, BOT: 100, MARK: 50, BRIDGED: 50})
            case 90:
                await bot.membership(ANNA, "leave")
                await bot.membership(ANNA, "join")
            case 100:
                await bot.say(MARK, "!rule remove gossip", room=DESK)
        if number % 17 == 0 and (waiting := await bot.rows("SELECT n FROM cases WHERE state = 'open' LIMIT 1")):
            await bot.say(OLGA, f"{random.choice(('!uphold', '!dismiss'))} {waiting[0][0]} so it is", room=DESK)


async def test_rules_with_unless_and_dry_run_bring_the_same_facts_over_rebuilt_tables(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await story(bot, 1)
        again = await judged_again(bot, tmp_path)
        recorded: dict[int, list[tuple[int, Fact]]] = {index: [] for index in again}
        for kind in OF_RULES:
            for index, fact in bot.recorded(kind):
                if fact.on in recorded and of_rules([fact]):
                    recorded[fact.on].append((index, fact))
        in_order = {on: [fact for _, fact in sorted(facts, key=lambda each: each[0])] for on, facts in recorded.items()}
        assert again == in_order
        rules = {fact.rule for facts in again.values() for fact in facts if isinstance(fact, Found | FoundOnTrial)}
        assert rules == {"links", "ads", "rumours", "flood", "gossip"}
