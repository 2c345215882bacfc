"""Messages of people on one's own homeserver, judged before anybody sees them."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.antispam.answers import Antispam
from bot.antispam.frames import now_ms
from bot.antispam.front_process import GOES_THROUGH, CallbackAnswer
from bot.events.parse_event import receive
from bot.pipeline.refusal_cap import MOST_OF_PERSON
from bot.pipeline.withheld import Withheld
from moderation.judge.beforehand import Refusal
from moderation.model.actions.removal import Redact
from moderation.model.facts import CaseGrew, CaseOpened, CreditChanged, Found, MessageWithheld, SanctionStarted
from moderation.values.ids import EventId, RoomId, UserId
from tests.door.bot.antispam.asked import antispam_of
from tests.door.offline import ANNA, BOT, DESK, MARK, OLGA, ROOM, Offline, offline

RULES = """
[[rules]]
name = "ads"
kind = "terms"
class = "moderate"
measure = "mute"
mute_for = "1h"
terms = ["buy now"]
text = { en = "Please do not advertise." }
"""
FLOOD = """
[[rules]]
name = "flood"
kind = "flood"
messages = 5
within = "1m"
"""
TEXT = "m.room.message"
LATER_MS = 3_600_000
ABROAD = UserId("@zoe:elsewhere.example")


def body(words: str) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": words}


class Asked:
    """A bot, and what it answers the homeserver."""

    def __init__(self, bot: Offline) -> None:
        self.bot = bot
        self._antispam: Antispam = antispam_of(bot)

    async def send(
        self, words: str = "buy now!", who: UserId = ANNA, *, room: RoomId = ROOM, late: bool = False
    ) -> CallbackAnswer:
        return await self.ask(self.bot.raw(who, TEXT, body(words)), room=room, late=late)

    async def ask(self, raw: dict[str, Any], *, room: RoomId = ROOM, late: bool = False) -> CallbackAnswer:
        by_ms = now_ms() - 1 if late else now_ms() + LATER_MS
        asked = json.dumps({"event": {**raw, "room_id": room}}).encode()
        return await self._antispam.answer("check_event_for_spam", asked, by_ms)


async def test_a_message_that_breaks_a_rule_is_refused_in_its_words_and_is_a_case(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        raw = bot.raw(ANNA, TEXT, body("buy now!"))
        answer = await Asked(bot).ask(raw)
        said = json.loads(answer.body)
        assert (answer.status, said["errcode"]) == (403, "M_FORBIDDEN")
        assert "“Please do not advertise”" in said["error"]
        assert "buy now" not in said["error"]
        (fact,) = bot.facts(MessageWithheld)
        assert (fact.by, fact.event, fact.subject, fact.rule) == ("antispam", raw["event_id"], ANNA, "ads")
        assert [case.excerpt for case in bot.facts(CaseOpened)] == ["buy now!"]
        assert [fact.kind for fact in bot.facts(SanctionStarted)] == ["withhold", "mute"]
        assert [row for row in await bot.waiting() if isinstance(row.action, Redact)] == []


async def test_a_message_that_breaks_no_rule_leaves_nothing_behind(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        before = bot.stores.journal.size
        assert await Asked(bot).send("good morning") == GOES_THROUGH
        assert bot.stores.journal.size == before


async def test_what_arrives_nevertheless_is_removed_in_the_same_case(tmp_path: Path) -> None:
    """The homeserver may have waited too long."""
    async with offline(tmp_path, RULES) as bot:
        raw = bot.raw(ANNA, TEXT, body("buy now!"))
        await Asked(bot).ask(raw)
        await bot.pipeline.take([receive(raw, ROOM, bot.time())])
        assert [row.action.event for row in await bot.waiting() if isinstance(row.action, Redact)] == [raw["event_id"]]
        assert (len(bot.facts(CaseOpened)), len(bot.facts(CaseGrew)), len(bot.facts(CreditChanged))) == (1, 1, 1)


async def test_what_is_no_longer_in_time_is_neither_judged_nor_recorded(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        assert await Asked(bot).send(late=True) == GOES_THROUGH
        assert bot.facts(MessageWithheld) == []


@pytest.mark.parametrize("who", [OLGA, MARK, BOT, ABROAD, UserId("@nobody:example.org")])
async def test_those_who_run_the_room_the_bot_people_abroad_and_strangers_are_not_refused(
    tmp_path: Path, who: UserId
) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.membership(ABROAD, "join")
        assert await Asked(bot).send(who=who) == GOES_THROUGH
        assert bot.facts(MessageWithheld) == []


@pytest.mark.parametrize("room", [RoomId("!elsewhere:example.org"), DESK])
async def test_rooms_that_are_not_protected_are_none_of_our_business(tmp_path: Path, room: RoomId) -> None:
    async with offline(tmp_path, RULES, desk=(OLGA, MARK, ANNA)) as bot:
        assert await Asked(bot).send(room=room) == GOES_THROUGH


@pytest.mark.parametrize("rule", ["dry_run = true", 'unless = { users = ["@anna:example.org"] }'])
async def test_whom_a_rule_spares_and_what_it_only_tries_goes_through(tmp_path: Path, rule: str) -> None:
    async with offline(tmp_path, f"{RULES}{rule}\n") as bot:
        assert await Asked(bot).send() == GOES_THROUGH


async def test_only_rules_with_the_measures_of_the_settings_refuse(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + '[antispam]\nrefuse = ["ban"]\n') as bot:
        assert await Asked(bot).send() == GOES_THROUGH


@pytest.mark.parametrize(
    ("kind", "content", "more"),
    [
        ("m.room.member", {"membership": "join", "displayname": "buy now"}, {"state_key": ANNA}),
        ("m.room.redaction", {"redacts": "$event1", "reason": "buy now"}, {"redacts": "$event1"}),
        ("m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "buy now"}, {}),
        ("m.room.power_levels", {"users": {}}, {"state_key": ""}),
        (TEXT, {"msgtype": 7}, {}),
        (TEXT, "buy now", {}),
    ],
)
async def test_comings_redactions_and_what_cannot_be_read_go_through(
    tmp_path: Path, kind: str, content: Any, more: dict[str, Any]
) -> None:
    async with offline(tmp_path, RULES) as bot:
        assert await Asked(bot).ask({**bot.raw(ANNA, kind, content), **more}) == GOES_THROUGH


@pytest.mark.parametrize(
    ("kind", "content", "more"),
    [
        ("m.room.topic", {"topic": "buy now"}, {"state_key": ""}),
        ("m.room.name", {"name": "buy now"}, {"state_key": ""}),
        ("m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$e", "key": "buy now"}}, {}),
        ("m.sticker", {"body": "buy now", "url": "mxc://example.org/a", "info": {}}, {}),
        ("org.example.odd", {"words": "buy now"}, {}),
    ],
)
async def test_names_topics_reactions_and_unknown_types_are_judged_like_messages(
    tmp_path: Path, kind: str, content: Any, more: dict[str, Any]
) -> None:
    async with offline(tmp_path, RULES) as bot:
        assert (await Asked(bot).ask({**bot.raw(ANNA, kind, content), **more})).status == 403


async def test_a_code_shown_to_others_is_not_recorded_as_withheld(tmp_path: Path) -> None:
    """It is removed after its delivery, without the code in the records."""
    async with offline(tmp_path, RULES.replace("buy now", "verify")) as bot:
        assert await Asked(bot).send("!verify 12345678") == GOES_THROUGH


async def test_a_flood_is_stopped_before_its_messages_arrive(tmp_path: Path) -> None:
    async with offline(tmp_path, FLOOD) as bot:
        asked = Asked(bot)
        raws = [bot.raw(ANNA, TEXT, body(f"number {n}")) for n in range(500)]
        answers = await asyncio.gather(*(asked.ask(raw) for raw in raws))
        through = [raw for raw, answer in zip(raws, answers, strict=True) if answer == GOES_THROUGH]
        assert len(through) == 5
        assert len(bot.facts(MessageWithheld)) == MOST_OF_PERSON
        assert sum(b"A message about this follows" in answer.body for answer in answers) == MOST_OF_PERSON
        await bot.pipeline.take([receive(raw, ROOM, bot.time()) for raw in through])
        assert bot.facts(Found)[-1].count <= 6  # what arrives was counted once, not twice
        assert [row for row in await bot.waiting() if isinstance(row.action, Redact)] == []


async def test_messages_that_never_arrive_do_not_count_for_ever(tmp_path: Path) -> None:
    async with offline(tmp_path, FLOOD) as bot:
        asked = Asked(bot)
        for n in range(5):
            assert await asked.send(f"number {n}") == GOES_THROUGH
        bot.time.ms += 61_000
        assert await asked.send("number 5") == GOES_THROUGH


async def test_many_people_at_once_are_judged_each(tmp_path: Path) -> None:
    people = [UserId(f"@u{n}:example.org") for n in range(200)]
    async with offline(tmp_path, RULES) as bot:
        await bot.pipeline.take(
            [receive(bot.raw(user, "m.room.member", {"membership": "join"}, user), ROOM, bot.time()) for user in people]
        )
        asked = Asked(bot)
        answers = await asyncio.gather(*(asked.send("buy now" if n % 2 else "hello", u) for n, u in enumerate(people)))
        assert [answer.status for answer in answers] == [403 if n % 2 else 200 for n in range(200)]
        assert {fact.subject for fact in bot.facts(MessageWithheld)} == set(people[1::2])


async def test_a_rule_of_the_room_is_told_in_the_words_of_the_room(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.say(MARK, '!rule add no-cats terms "black cat" minor redact text "No cats here."')
        answer = await Asked(bot).send("a black cat")
        assert "“No cats here”" in json.loads(answer.body)["error"]


async def test_the_words_are_in_the_language_of_the_room(tmp_path: Path) -> None:
    rules = RULES.replace("text = { en", 'text = { zh = "请勿发广告。", en')
    async with offline(tmp_path, rules) as bot:
        await bot.say(OLGA, "!set language zh")
        assert "“请勿发广告”" in json.loads((await Asked(bot).send()).body)["error"]


NEWCOMERS = '[newcomers]\nhold = ["links"]\nmessages = 3\n'


@pytest.mark.parametrize("rules", [RULES, FLOOD, RULES + FLOOD + NEWCOMERS])
async def test_what_is_known_without_the_database_is_what_the_database_says(tmp_path: Path, rules: str) -> None:
    async with offline(tmp_path, rules) as bot:
        await bot.say(ANNA, "good morning")
        asked = Asked(bot)
        for words in ("one", "two"):
            assert await asked.send(words) == GOES_THROUGH  # on their way
        event = receive(bot.raw(ANNA, TEXT, body("three")), ROOM, bot.time())
        at_hand = bot.pipeline.contexts.at_hand(event)
        assert at_hand is not None
        async with bot.pipeline.reading() as unit:
            room = await bot.pipeline.knowledge.room(unit.db, ROOM)
            assert room is not None
            read = await bot.pipeline.contexts.of_waiting(unit, event, room)
        known = replace(read.context, said=at_hand.context.said) if NEWCOMERS not in rules else read.context
        assert (at_hand.context, at_hand.rules) == (known, read.rules)


async def test_while_somebody_writes_only_what_must_be_refused_waits(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.say(ANNA, "good morning")
        asked, done = Asked(bot), asyncio.Event()
        writing = asyncio.create_task(bot.pipeline.writer.run_exclusive(done.wait()))
        assert await asked.send("good evening") == GOES_THROUGH
        refused = asyncio.create_task(asked.send())
        assert await asked.send("good night") == GOES_THROUGH
        assert not refused.done()
        done.set()
        assert (await refused).status == 403
        await writing


async def test_what_the_policy_server_refused_is_refused_and_recorded_once(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        raw = bot.raw(ANNA, TEXT, body("buy now!"))
        refusal = Refusal("ads", "moderate", "rule", "body", "buy now")
        by_policy = Withheld(ROOM, EventId(raw["event_id"]), raw, refusal, "policy_server", bot.time())
        await bot.pipeline.withholding.take([by_policy])
        assert (await Asked(bot).ask(raw)).status == 403
        assert [fact.by for fact in bot.facts(MessageWithheld)] == ["policy_server"]
        assert (len(bot.facts(CaseOpened)), len(bot.facts(CaseGrew))) == (1, 0)
