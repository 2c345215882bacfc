"""Managers read a card, and an answer when they decide."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.pipeline.message_text import said_at
from bot.texts.case_card import card_lines, read_card
from bot.texts.case_context import context_lines
from bot.texts.case_words import word_lines
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from bot.texts.names import names_in
from moderation.model.facts import CreditChanged, SanctionStarted
from moderation.values.ids import UserId
from storage import queries
from storage.projections.erase_person import erase_from_tables
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, ROOM, RULES, Offline, offline

DAY = 86_400_000
LINK = f"https://matrix.to/#/{ROOM}/$event14?via=example.org"
MUTES = RULES.replace('decide = "manager"', 'decide = "manager"\nmeasure = "mute"\nmute_for = "1h"')


async def card(bot: Offline, n: int = 1, language: str = "en", *, gone: bool | None = None) -> list[str]:
    """Return the card of a case, line by line."""
    policy = bot.pipeline.settings.policy
    async with bot.stores.database.read() as db:
        read = await read_card(db, n, bot.time(), policy, BOT)
        assert read is not None
        rules = bot.pipeline.settings.rules
        words = await word_lines(db, read.case, partial(said_at, bot.stores.journal), rules, BOT)
    read = replace(read, gone=gone) if gone is not None else read
    lines = card_lines(read, policy, bot.time(), "!", words=words)
    async with bot.stores.database.read() as db:
        names = await names_in(db, lines, language, ROOM, about={read.case.subject})
    speech = Speech(Catalog.load().with_clock(bot.time), policy, "en")
    return speech.text(lines, language, names).plain.splitlines()


async def named(bot: Offline, user: UserId, name: str) -> None:
    await bot.event(user, "m.room.member", {"membership": "join", "displayname": name}, key=user)


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "en",
            [
                "Case 1 · serious · tickets",
                f"Ann ({ANNA}) · 100/100 points · earlier violations: 0 (reversed ones not counted)",
                "First seen in the room: 24 Nov 2026, 12:00 UTC",
                "“it is «forbidden» at http[:]//evil[.]example”",
                f"Message: {LINK}",
                "The message is still in the room.",
                "Decide by 25 Nov, 12:00 UTC (24 h left).",
                "To decide: @mark:example.org, @mina:example.org",
                "✅ rule broken (removes the message, −25 points, mutes for 1 hour) · ❌ not broken · 🔎 history · "
                "✋ I take it. With a reason: !uphold 1 or !dismiss 1",
                "More time, once: ⏳ or !later 1 (1 day more)",
            ],
        ),
        (
            "zh",
            [
                "个案 1 · 严重 · tickets",
                f"Ann（{ANNA}） · 信用分 100/100 · 此前违规 0 次（已撤销的不计）",
                "首次进入房间：2026年11月24日 12:00 UTC",
                "“it is «forbidden» at http[:]//evil[.]example”",
                f"消息：{LINK}",
                "消息仍在房间里。",
                "请在 11月25日 12:00 UTC 前（还剩 24 小时）决定。",
                "由以下人员决定：@mark:example.org, @mina:example.org",
                "✅ 违规（移除消息、扣 25 分、禁言 1 小时） · ❌ 不违规 · 🔎 过往记录 · ✋ 由我处理。"
                "附理由：!uphold 1 或 !dismiss 1",
                "延期一次：⏳ 或 !later 1（延长 1 天）",
            ],
        ),
    ],
)
async def test_a_card_has_all_that_a_decision_takes(tmp_path: Path, language: str, lines: list[str]) -> None:
    async with offline(tmp_path, MUTES) as bot:
        await named(bot, ANNA, "Ann")
        await bot.say(ANNA, "it is forbidden at http://evil.example")
        shown = await card(bot, 1, language, gone=False)
        assert [each.replace("$event15", "$event14") for each in shown] == lines


async def test_what_is_left_of_the_time_and_what_a_repetition_costs(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(MARK, "!uphold 1 plain", DESK)
        assert (await card(bot))[-3:] == [
            f"{MARK} decided: rule broken.",
            "Reason: plain",
            "Changed your mind? ❌ not broken (gives back 25 points). With a reason: !dismiss 1",
        ]
        await bot.pass_time(2 * DAY)
        await bot.say(ANNA, "forbidden")
        await bot.pass_time(DAY // 2 + 20 * 60_000)
        shown = "\n".join(await card(bot, 2))
        assert "(12 h left)" in shown and "earlier violations: 1" in shown
        assert "✅ rule broken (removes the message, −38 points, mutes for 3 days)" in shown
        await bot.pass_time(DAY // 2 - 50 * 60_000)
        assert "(30 min left)" in "\n".join(await card(bot, 2))


async def test_a_decision_brings_what_the_card_said(tmp_path: Path) -> None:
    async with offline(tmp_path, MUTES) as bot:
        low = CreditChanged(room=ROOM, entry="charge", cost=50, grade="severe", rule="other", left=50, subject=ANNA)
        await bot.pipeline.commit((low,))
        await bot.say(ANNA, "forbidden")
        assert "✅ rule broken (removes the message, −25 points, mutes for 3 days) ·" in (await card(bot))[-2]
        await bot.say(MARK, "!uphold 1", DESK)
        assert [(f.cost, f.left) for f in bot.facts(CreditChanged)][-1] == (25, 25)


async def test_where_no_words_are_kept_the_card_says_so(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + '[records]\ncontent = "metadata"\n') as bot:
        await bot.say(ANNA, "forbidden")
        shown = await card(bot)
        assert "I keep no words of this message. Open it to read it." in shown
        assert "forbidden" not in "\n".join(shown)


async def test_of_an_erased_person_nothing_is_left(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await named(bot, ANNA, "Ann")
        await bot.say(ANNA, "forbidden")
        async with bot.stores.database.write() as db:
            await erase_from_tables(db, [ANNA], [])
        assert (await card(bot))[:2] == ["Case 1 · serious · tickets", "The data of this person were deleted."]


async def violations_before(bot: Offline, n: int) -> object:
    async with bot.stores.database.read() as db:
        read = await read_card(db, n, bot.time(), bot.pipeline.settings.policy, BOT)
    assert read is not None
    lines = card_lines(read, bot.pipeline.settings.policy, bot.time(), "!")
    return next(each.fields["before"] for each in lines if each.key == "card.who")


async def test_a_reversed_case_is_not_counted_as_an_earlier_violation(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(MARK, "!uphold 1", DESK)
        await bot.pass_time(2 * DAY)
        await bot.say(ANNA, "forbidden")
        assert await violations_before(bot, 2) == 1
        await bot.say(MARK, "!dismiss 1 a quotation", DESK)
        assert await violations_before(bot, 2) == 0


async def test_a_manager_who_lets_a_message_through_is_not_told_of_a_broken_rule(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        low = CreditChanged(room=ROOM, entry="charge", cost=50, grade="serious", rule="tickets", left=50, subject=ANNA)
        await bot.pipeline.commit((low,))
        await bot.say(ANNA, "see https://elephants.example")
        await bot.say(MARK, "!dismiss 1", DESK)
        assert await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%decided.waited.dismissed%'") == [(1,)]


async def more(bot: Offline, n: int = 1, language: str = "en") -> list[str]:
    """Return what 🔎 under the card of a case shows, line by line."""
    async with bot.stores.database.read() as db:
        case = await queries.case_view(db, n)
        assert case is not None
        lines = await context_lines(db, case, partial(said_at, bot.stores.journal), BOT)
        names = await names_in(db, lines, language, ROOM)
    speech = Speech(Catalog.load().with_clock(bot.time), bot.pipeline.settings.policy, "en")
    return speech.text(lines, language, names).plain.splitlines()


async def test_the_context_is_what_was_said_around_it_the_rule_and_earlier_cases(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        for number in range(5):
            await bot.say(MINA, f"number {number}")
        gone = await bot.event(MINA, "m.room.message", {"msgtype": "m.text", "body": "better not"})
        await bot.say(ANNA, "forbidden")
        await bot.say(MINA, "come on, see https://evil.example")
        await bot.event(MINA, "m.room.redaction", {"redacts": gone})
        assert await more(bot) == [
            "What was said around it:",
            f"· 24 Nov, 12:00 UTC, {MINA}: “number 3”",
            f"· 24 Nov, 12:00 UTC, {MINA}: “number 4”",
            f"→ 24 Nov, 12:00 UTC, {ANNA}: “forbidden”",
            f"· 24 Nov, 12:00 UTC, {MINA}: “come on, see https[:]//evil[.]example”",
            "The rule: “tickets” (serious)",
            f"There are no earlier cases about {ANNA} here.",
        ]
        assert (await more(bot, 1, "zh"))[-2:] == ["规则：“tickets”（严重）", f"此前没有与 {ANNA} 有关的个案。"]


async def test_earlier_cases_are_shown_with_their_outcome(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(MARK, "!dismiss 1 a quotation", DESK)
        await bot.pass_time(2 * DAY)
        await bot.say(ANNA, "forbidden")
        shown = await more(bot, 2)
        assert shown[-2] == f"Earlier cases about {ANNA} here (1):"
        assert shown[-1].startswith("Case 1 · ") and shown[-1].endswith(" · not broken")
        assert (await more(bot))[-1] == f"There are no earlier cases about {ANNA} here."


async def test_where_no_words_are_kept_there_is_no_context(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + '[records]\ncontent = "metadata"\n') as bot:
        await bot.say(MINA, "hello")
        await bot.say(ANNA, "forbidden")
        assert (await more(bot))[0] == "There are no messages around it that I can show."


@pytest.mark.parametrize(("measure", "would"), [("kick", "removes them from the room"), ("ban", "bans for 2 days")])
async def test_a_card_says_that_a_decision_removes_the_person(tmp_path: Path, measure: str, would: str) -> None:
    rules = RULES.replace('decide = "manager"', f'decide = "manager"\nmeasure = "{measure}"\nban_for = "2d"')
    async with offline(tmp_path, rules) as bot:
        await bot.say(ANNA, "it is forbidden")
        assert f"✅ rule broken (removes the message, −25 points, {would})" in "\n".join(await card(bot))
        await bot.say(MARK, "!uphold 1 it is", room=DESK)
        begun = [(fact.kind, fact.basis, fact.by) for fact in bot.facts(SanctionStarted)]
        assert begun == [("redact", "decision", MARK), (measure, "decision", MARK)]


PICTURES = '[[rules]]\nname = "pictures"\nkind = "media"\nkinds = []\ndecide = "manager"\n'
PICTURE = "mxc://example.org/a"
SHOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "in the text": ("m.room.message", {"msgtype": "m.text", "body": "0", "formatted_body": f'<img src="{PICTURE}">'}),
    "a gallery": (
        "m.room.message",
        {
            "msgtype": "dm.filament.gallery",
            "body": "",
            "itemtypes": [{"itemtype": "m.image", "url": f"{PICTURE}{n}"} for n in range(2)],
        },
    ),
    "a reaction": (
        "m.reaction",
        {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$event1", "key": PICTURE}},
    ),
}
SAID = {
    "in the text": ["“0”", "With it: pictures (1)"],
    "a gallery": ["I keep no words of this message. Open it to read it.", "With it: pictures (2)"],
    "a reaction": ["“mxc[:]//example[.]org/a”", "Found as a reaction.", "With it: stickers (1)"],
}


@pytest.mark.parametrize("how", SHOWN)
async def test_a_card_says_that_there_was_a_picture(tmp_path: Path, how: str) -> None:
    async with offline(tmp_path, PICTURES) as bot:
        await bot.event(ANNA, *SHOWN[how])
        lines = await card(bot)
        at = next(number for number, each in enumerate(lines) if each.startswith("Message: "))
        assert lines[at - len(SAID[how]) : at] == SAID[how]


async def test_a_card_about_a_name_says_that_it_stands_until_the_person_is_removed(tmp_path: Path) -> None:
    stands = "This is not a message, so I cannot remove it: it still stands. !kick and !ban remove the person."
    rules = RULES.replace('decide = "manager"', 'decide = "manager"\nmeasure = "kick"')
    async with offline(tmp_path, rules) as bot:
        await named(bot, ANNA, "forbidden")
        assert stands in await card(bot)
        await bot.say(MARK, "!uphold 1 it is", room=DESK)
        assert stands not in await card(bot)
        await bot.say(MINA, "it is forbidden", room=ROOM)
        assert stands not in await card(bot, 2)
