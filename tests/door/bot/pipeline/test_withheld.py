"""Events that were refused before their delivery: recorded once, with all that follows, though nobody saw them."""

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.events.parse_event import receive
from bot.pipeline.message_text import said_at
from bot.pipeline.withheld import Withheld, fact_of, note_of, withheld_of
from bot.texts.case_card import card_lines, read_card
from bot.texts.case_words import word_lines
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.judge.beforehand import Refusal
from moderation.model.actions.removal import Redact
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import (
    ActionTaken,
    CaseDecided,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Fact,
    Found,
    MessageWithheld,
    PartsErased,
    RecordsPurged,
    SanctionStarted,
    StatementGiven,
)
from moderation.values.errors import Invalid
from moderation.values.ids import EventId, RoomId, UserId
from storage.projections import POLICY_SEQ
from storage.projections.erase_person import erase_from_tables
from tests.door.judged_again import judged_again
from tests.door.offline import ANNA, BOT, MARK, NOON, ROOM, Offline, offline
from tests.theatre.opened import made_again

RULES = """
[[rules]]
name = "spam"
kind = "terms"
class = "moderate"
measure = "mute"
mute_for = "1h"
terms = ["buy now"]
"""
REFUSAL = Refusal("spam", "moderate", "rule", "body", "buy now")
TABLES = ("withheld", "evidence", "cases", "sanctions", "credit", "case_steps", "statements", "accounts", "events")


def withheld(bot: Offline, words: str = "buy now!", sender: UserId = ANNA, **other: Any) -> Withheld:
    raw = bot.raw(sender, "m.room.message", {"msgtype": "m.text", "body": words})
    given = {"event": EventId(raw["event_id"]), "refusal": REFUSAL, "by": "policy_server", "refused_ms": NOON, **other}
    return Withheld(room=other.pop("room", ROOM), raw=raw, **{k: v for k, v in given.items() if k != "room"})


async def test_nothing_is_recorded_of_somebody_who_was_never_in_the_room(tmp_path: Path) -> None:
    """Any server can make up people. Somebody who left since is another matter."""
    async with offline(tmp_path, RULES) as bot:
        never, invited, left = (UserId(f"@{name}:elsewhere.example") for name in ("never", "invited", "left"))
        await bot.membership(invited, "invite")
        await bot.membership(left, "join")
        await bot.membership(left, "leave")
        notes = [withheld(bot, sender=each) for each in (never, invited, left)]
        assert await bot.pipeline.withholding.take(notes, read_to=3) == 1
        assert [fact.subject for fact in bot.facts(MessageWithheld)] == [left]
        assert [fact.subject for fact in bot.facts(CaseOpened)] == [left]


async def test_a_refusal_becomes_a_finding_a_case_a_charge_and_the_measure_of_the_rule(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        refused = withheld(bot)
        assert await bot.pipeline.withholding.take([refused]) == 1
        ((on, fact),) = bot.recorded(MessageWithheld)
        assert (fact.subject, fact.event, fact.rule, fact.by) == (ANNA, refused.event, "spam", "policy_server")
        assert (fact.body, json.loads(fact.content)) == ("buy now!", {"msgtype": "m.text"})
        (found,), (opened,), (charged,) = bot.facts(Found), bot.facts(CaseOpened), bot.facts(CreditChanged)
        assert (found.on, found.rule, found.matched) == (on, "spam", "buy now")
        assert (opened.on, opened.event, opened.excerpt, opened.state) == (on, refused.event, "buy now!", "decided")
        assert [fact.kind for fact in bot.facts(SanctionStarted)] == ["withhold", "mute"]
        assert (charged.n, charged.cost) == (opened.n, 10)
        assert len(bot.facts(StatementGiven)) == 1
        assert not [row for row in await bot.waiting() if isinstance(row.action, Redact)]
        assert await bot.rows("SELECT count(*) FROM events WHERE event = '" + refused.event + "'") == [(0,)]


async def test_the_same_refusal_is_recorded_once_and_more_of_them_join_the_case(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        first, second = withheld(bot), withheld(bot)
        assert await bot.pipeline.withholding.take([first, first, second], read_to=3) == 2
        assert await bot.pipeline.withholding.take([second], read_to=4) == 0
        assert (len(bot.facts(CaseOpened)), len(bot.facts(CaseGrew)), len(bot.facts(CreditChanged))) == (1, 1, 1)
        assert await bot.rows(f"SELECT value FROM meta WHERE key = '{POLICY_SEQ}'") == [("4",)]


async def test_rooms_that_are_not_served_are_left_out(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        elsewhere = replace(withheld(bot), room=RoomId("!elsewhere:example.org"))
        assert await bot.pipeline.withholding.take([elsewhere]) == 0
        assert bot.facts(MessageWithheld) == []


async def test_what_arrives_nevertheless_is_judged_as_any_other_and_not_charged_twice(tmp_path: Path) -> None:
    """A homeserver that waited too long lets a message through."""
    async with offline(tmp_path, RULES) as bot:
        refused = withheld(bot)
        await bot.pipeline.withholding.take([refused])
        await bot.pipeline.take([receive(dict(refused.raw), ROOM, bot.time())])
        assert [row.action.event for row in await bot.waiting() if isinstance(row.action, Redact)] == [refused.event]
        assert (len(bot.facts(CaseOpened)), len(bot.facts(CaseGrew)), len(bot.facts(CreditChanged))) == (1, 1, 1)


async def test_where_words_are_not_kept_only_their_hash_is(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + '[records]\ncontent = "metadata"\n') as bot:
        refused = withheld(bot)
        await bot.pipeline.withholding.take([refused])
        (fact,) = bot.facts(MessageWithheld)
        said = json.dumps(refused.raw["content"], sort_keys=True, separators=(",", ":"))
        assert (fact.body, fact.content, fact.matched, fact.sha256) == (
            "",
            "",
            "",
            hashlib.sha256(said.encode()).hexdigest(),
        )
        assert [case.excerpt for case in bot.facts(CaseOpened)] == [""]
        assert fact_of(withheld_of(note_of(refused, "metadata"))) == replace(fact, body="", content="", matched="")
        assert "buy now" not in note_of(refused, "metadata")


async def test_a_note_says_all_that_is_recorded(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        refused = withheld(bot)
        assert fact_of(withheld_of(note_of(refused))) == fact_of(refused)


@pytest.mark.parametrize(
    "change",
    [
        {"event": "buy"},
        {"room": 7},
        {"by": "me"},
        {"refused_ms": "now"},
        {"refused_ms": -1},
        {"raw": {}},
        {"raw": [1]},
        {"refusal": {"rule": "@anna:example.org"}},
        {"refusal": {"rule": "spam", "count": 2**53}},
        {"refusal": {"rule": "spam", "where": "nowhere"}},
        {"refusal": None},
    ],
)
async def test_a_note_that_is_not_ours_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    async with offline(tmp_path, RULES) as bot:
        note = json.loads(note_of(withheld(bot)))
    for bad in (json.dumps(note | change), "", "[", "null", "[" * 100_000):
        with pytest.raises(Invalid):
            withheld_of(bad)


@pytest.mark.parametrize("content", ["full", "metadata"])
@pytest.mark.parametrize("kept", [1, 2, 3, 4])
async def test_what_a_stop_left_undone_is_done_at_the_next_start(tmp_path: Path, kept: int, content: str) -> None:
    """The journal has the first records of those that are written together, the tables have none."""
    rules = RULES + f'[records]\ncontent = "{content}"\n'
    async with offline(tmp_path / "whole", rules) as bot:
        await bot.pipeline.withholding.take([withheld(bot)])
        wanted = _follow(bot)
        drafts = [bot.pipeline.processor.draft_of(fact, bot.time()) for fact in wanted]
    async with offline(tmp_path / "torn", rules) as bot:
        bot.stores.journal.append(drafts[:kept])
        bot.stores.journal.sync()
    async with offline(tmp_path / "torn", rules) as bot:
        assert _follow(bot) == wanted
        await _same_when_rebuilt(bot, tmp_path)


async def test_rebuilt_tables_are_the_same(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot), withheld(bot)])
        await _same_when_rebuilt(bot, tmp_path)


def _follow(bot: Offline) -> list[Any]:
    """Return the facts about Anna, beginning with the refusal."""
    return [fact for fact in bot.facts(Fact) if getattr(fact, "subject", "") == ANNA]


async def _same_when_rebuilt(bot: Offline, folder: Path) -> None:
    again = await made_again(bot.stores.journal, folder / "again")
    for table in TABLES:
        query = f"SELECT * FROM {table} ORDER BY 1, 2"
        assert again.rows(query) == await bot.rows(query), table


async def test_what_was_refused_is_judged_again_by_other_rules_as_any_message(tmp_path: Path) -> None:
    async with offline(tmp_path / "bot", RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot)])
        ((on, _),) = bot.recorded(MessageWithheld)
        recorded = [fact for kind in (Found, CaseOpened) for fact in bot.facts(kind)]
        brought = await judged_again(bot, tmp_path)
        assert {fact for fact in brought[on] if isinstance(fact, Found | CaseOpened)} == set(recorded)
        started = [fact.kind for fact in brought[on] if isinstance(fact, SanctionStarted)]
        assert started == ["withhold", "mute"]


async def test_an_erased_refusal_leaves_nothing_of_its_sender_in_the_tables(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot)])
        about = [index for index, fact in bot.recorded(Fact) if getattr(fact, "subject", "") == ANNA]
        records = f"{about[0]}-{about[-1]}"
        await bot.pipeline.commit((PartsErased(parts=9, what="request", records=records),))
        for table in ("withheld", "evidence", "cases", "sanctions", "credit", "statements", "case_steps"):
            assert ANNA not in str(await bot.rows(f"SELECT * FROM {table}")), table
        assert await bot.rows("SELECT * FROM withheld") == await bot.rows("SELECT * FROM evidence") == []


async def test_a_person_who_is_erased_from_the_tables_leaves_no_evidence(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot)])
        async with bot.stores.database.write() as db:
            await erase_from_tables(db, [ANNA], ())
        assert await bot.rows("SELECT * FROM withheld") == await bot.rows("SELECT * FROM evidence") == []


async def test_a_purge_takes_it_with_its_record(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot)])
        await bot.pipeline.commit((RecordsPurged(what="schedule", below=bot.stores.journal.size),))
        assert await bot.rows("SELECT * FROM withheld") == []


async def test_the_card_quotes_what_nobody_saw_and_links_to_nothing(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot), withheld(bot, "buy now, again")])
        said = await card_of(bot)
        assert "“«buy now»!”" in said and "“«buy now», again” (in the text), refused before anybody saw it" in said
        assert "The message was refused before anybody saw it." in said
        assert "matrix.to/#/!garden" not in said and "still stands" not in said
        assert "2 messages withheld" in said


async def test_the_sender_is_told_once_and_again_that_it_can_be_sent_when_it_broke_nothing(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot), withheld(bot)])
        first = await told(bot)
        assert "notice.violation" in first and "notice.measure.withhold" in first and "notice.foot" in first
        assert first.count("notice.measure.withhold") == 1
        await bot.say(MARK, "!dismiss 1 a joke")
        again = await told(bot)
        assert "notice.post-again-withheld" in again and "notice.post-again" not in again
        assert [fact.entry for fact in bot.facts(CreditChanged)] == ["charge", "compensation"]


async def test_its_reasons_are_stated_and_an_appeal_takes_it_back(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.withholding.take([withheld(bot)])
        (stated,) = bot.facts(StatementGiven)
        reasons = json.loads(stated.statement)
        assert [each["kind"] for each in reasons["measures"]] == ["withhold", "mute"]
        assert (reasons["words"], reasons["sent"]) == ("buy now!", NOON)
        room = await bot.direct(ANNA)
        await bot.say(ANNA, "!why 1", room)
        assert "statement.did" in await told(bot)
        await bot.say(ANNA, "!appeal 1 I quoted somebody", room)
        await bot.say(MARK, "!dismiss 1 a quotation")
        assert [(fact.what, fact.state) for fact in bot.facts(CaseDecided)] == [("dismissed", "reversed")]
        assert "notice.post-again-withheld" in await told(bot)


async def told(bot: Offline) -> list[str]:
    """Return the keys of what people are told, and forget it."""
    keys: list[str] = []
    for row in await bot.waiting():
        if isinstance(row.action, Say | Tell):
            keys += [each.key for each in row.action.lines]
            taken = ActionTaken(room=row.action.room, action=row.action.NAME, result="done", txn=row.txn)
            await bot.pipeline.commit((taken,), of_row=row.txn)
    return keys


async def card_of(bot: Offline) -> str:
    settings = bot.pipeline.settings
    speech = Speech(Catalog.load(), settings.policy, "en")
    async with bot.stores.database.read() as db:
        card = await read_card(db, 1, bot.time(), settings.policy, BOT)
        assert card is not None
        words = await word_lines(db, card.case, partial(said_at, bot.stores.journal), settings.rules, BOT)
        lines = card_lines(card, settings.policy, bot.time(), "!", words=words)
        return str(speech.message(lines, "en", {})["body"])


async def test_what_is_held_waits_for_people_and_can_be_sent_again_if_it_broke_nothing(tmp_path: Path) -> None:
    holds = RULES.replace('measure = "mute"', 'measure = "mute"\ndecide = "manager"\ninterim = "hold"')
    async with offline(tmp_path, holds + '[policy_server]\nserver_name = "policy.example.org"\n') as bot:
        await bot.pipeline.withholding.take([withheld(bot, refusal=replace(REFUSAL, basis="interim"))])
        (case,) = bot.facts(CaseOpened)
        assert (case.state, case.decide, bot.facts(CreditChanged)) == ("open", "manager", [])
        assert "It waits with this case." in await card_of(bot)
        first = await told(bot)
        assert "notice.undecided" in first and "notice.interim.withhold" in first
        await bot.say(MARK, "!dismiss 1 all is well")
        assert "notice.post-again-withheld" in await told(bot)
        await bot.pipeline.withholding.take([withheld(bot, refusal=replace(REFUSAL, basis="interim"))])
        await bot.say(MARK, "!uphold 2")
        assert [fact.kind for fact in bot.facts(SanctionStarted)] == ["withhold", "withhold", "mute"]
        assert len(bot.facts(CreditChanged)) == 1
