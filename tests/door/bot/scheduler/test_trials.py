"""Rules on trial: the desk is shown once a day what they would have matched, and nothing else comes of it."""

import json
from pathlib import Path

from bot.scheduler.digest import Digester
from bot.texts.case_words import message_link
from moderation.model.actions.registry import from_json
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import CaseOpened, CreditChanged, Found, FoundOnTrial, RoomRuleChanged, SanctionStarted
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.ids import EventId
from moderation.values.notices import Line, Moment, RoomName, RuleText, line
from storage import queries
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, ROOM, RULES, Offline, offline

TRIED = (
    RULES
    + """
[[rules]]
name = "rumours"
kind = "terms"
class = "severe"
measure = "mute"
dry_run = true
terms = ["rumour"]
"""
)


def digester(bot: Offline) -> Digester:
    return Digester(bot.stores.database, bot.pipeline, bot.config.policy, bot.time, at="09:00", zone="UTC")


async def told(bot: Offline) -> list[tuple[Line, ...]]:
    """Return what desks are told of rules on trial, and let it be sent."""
    rows = await bot.rows("SELECT action, txn FROM outbox WHERE action LIKE '%digest.trials%' ORDER BY id")
    bot.state.change("DELETE FROM outbox WHERE action LIKE '%digest.trials%'")
    said = [from_json(json.loads(action)) for action, _ in rows]
    return [each.lines for each in said if isinstance(each, TellDesk)]


async def test_the_desk_is_shown_once_a_day_what_a_rule_on_trial_would_have_matched(tmp_path: Path) -> None:
    async with offline(tmp_path, TRIED) as bot:
        look = digester(bot).look
        await look()
        began = bot.time.ms
        for user in (ANNA, ANNA, MARK, ANNA, MINA):
            await bot.say(user, "a rumour")
            bot.time.ms += HOUR_MS
        assert [bot.facts(kind) for kind in (CaseOpened, Found, CreditChanged, SanctionStarted)] == [[], [], [], []]
        assert [found.subject for found in bot.facts(FoundOnTrial)] == [ANNA, ANNA, MARK, ANNA, MINA]
        await look()
        assert await told(bot) == []  # not before its hour
        await bot.pass_time(DAY_MS)
        await look()
        newest = [EventId(row[0]) for row in await bot.rows("SELECT event FROM events ORDER BY record DESC LIMIT 3")]
        hour = began - began % DAY_MS + 9 * HOUR_MS
        head = line("digest.trials", room=RoomName(ROOM), since=Moment(hour))
        found = line("digest.trial", rule=RuleText("rumours"), count=5, people=3)
        links = [line("digest.trial-message", message=message_link(ROOM, event, BOT)) for event in newest]
        assert await told(bot) == [(head, found, *links)]
        await bot.pass_time(DAY_MS)
        await look()
        assert await told(bot) == []  # nothing since


async def test_what_is_said_in_the_hour_of_the_digest_is_told_once(tmp_path: Path) -> None:
    async with offline(tmp_path, TRIED) as bot:
        look = digester(bot).look
        await look()
        bot.time.ms += DAY_MS - 3 * HOUR_MS - 1
        await bot.say(ANNA, "a rumour")  # a millisecond before nine
        bot.time.ms += 2
        await bot.say(ANNA, "another rumour")  # after nine, before anybody looked
        await look()
        await bot.pass_time(DAY_MS)
        assert [lines[1].fields["count"] for lines in await told(bot)] == [1]
        await look()
        assert [lines[1].fields["count"] for lines in await told(bot)] == [1]


async def test_managers_try_a_rule_of_their_own_and_the_room_is_not_told(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(MARK, '!rule add gossip terms "gossip" severe dry-run', room=DESK)
        await bot.say(MARK, '!rule add gossip terms "gossip" moderate dry-run', room=DESK)
        await bot.say(ANNA, "gossip")
        await bot.say(MARK, "!rule remove gossip", room=DESK)
        await bot.say(ANNA, "gossip")
        assert [(fact.step, fact.trial) for fact in bot.facts(RoomRuleChanged)] == [("added", 1), ("removed", 1)]
        assert [(fact.rule, fact.subject) for fact in bot.facts(FoundOnTrial)] == [("gossip", ANNA)]
        assert await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%rules.added%'") == []
        assert await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%rules.removed%'") == []
        async with bot.stores.database.read() as db:
            (found,) = await queries.trials_of(db, ROOM, 0, bot.time.ms + 1, 0)
        assert (found.count, found.people, found.newest) == (1, 1, ())
