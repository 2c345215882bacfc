"""The cases of a raid, or about one person, are shown and decided by one tap."""

from pathlib import Path

from moderation.model.facts import CaseDecided, CreditChanged, QuestionAsked, SanctionStarted
from moderation.values.ids import EventId, UserId
from tests.door.offline import ANNA, DESK, MARK, MINA, OLGA, ROOM, RULES, Offline, offline
from tests.theatre.scene import Theatre
from tests.theatre.served import like

TWO = RULES + RULES.replace("tickets", "raffles").replace("forbidden", "raffle")
MINUTE = 60_000


async def test_a_raid_is_decided_by_one_tap_on_what_the_bot_shows(theatre: Theatre) -> None:
    scene = await theatre.scene(members=3)
    bot, room, owner, (mark,) = scene.bot, scene.room, scene.owner, scene.managers
    said = [await each.send_text(room, "forbidden 7") for each in scene.members]
    last = await scene.card(mark, 3)
    assert like("card.hint.together", count="3", together="!together 3").search(last.body)
    await mark.react(scene.desk, last.id, "👥")
    shown = like("question.together", count="3")
    asked = await scene.wait_desk(mark, lambda s: shown.search(s.body) is not None, "the question")
    lines = asked.body.splitlines()
    assert [
        like("cases.due", n=str(n), who=who.user).search(each) is not None
        for n, who, each in zip((1, 2, 3), scene.members, lines[1:4], strict=True)
    ] == [True] * 3
    await mark.react(scene.desk, asked.id, "✅")
    done = like("done.together.upheld", count="3")
    await scene.wait_desk(mark, lambda s: done.search(s.body) is not None, "the answer")
    await bot.idle()
    assert [(f.n, f.what, f.by) for f in bot.facts(CaseDecided)] == [(n, "upheld", mark.user) for n in (1, 2, 3)]
    assert [await owner.is_redacted(room, event) for event in said] == [True] * 3


async def ask(bot: Offline, who: UserId, n: int) -> str:
    """Ask for the cases that belong with one, and send the question. Returns their numbers."""
    await bot.say(who, f"!together {n}", DESK)
    rows = await bot.rows("SELECT json_extract(action, '$.cases') FROM outbox WHERE action LIKE '%\"ask-desk\"%'")
    cases = str(rows[-1][0]) if rows else ""
    await bot.pipeline.commit(
        (QuestionAsked(room=ROOM, n=n, what="together", cases=cases, made=EventId("$question")),) if cases else ()
    )
    return cases


async def press(bot: Offline, who: UserId, key: str) -> None:
    relates = {"rel_type": "m.annotation", "event_id": "$question", "key": key}
    await bot.event(who, "m.reaction", {"m.relates_to": relates}, room=DESK)


async def answers(bot: Offline) -> list[str]:
    rows = await bot.rows("SELECT json_extract(action, '$.lines[0].key') FROM outbox WHERE action LIKE '%\"say\"%'")
    return [key for (key,) in rows]


async def test_cases_of_one_person_are_dismissed_together_with_a_reason(tmp_path: Path) -> None:
    async with offline(tmp_path, TWO) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.pass_time(90 * MINUTE)
        await bot.say(ANNA, "a raffle")
        assert await ask(bot, MARK, 1) == "1:1 2:1"
        await press(bot, MARK, "❌")
        assert [(f.n, f.what, f.reason) for f in bot.facts(CaseDecided)] == [
            (1, "dismissed", "No rule was broken."),
            (2, "dismissed", "No rule was broken."),
        ]
        assert await answers(bot) == ["done.together.dismissed"]


async def test_two_cases_of_one_person_cost_what_they_cost_one_after_the_other(tmp_path: Path) -> None:
    async with offline(tmp_path, TWO) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(ANNA, "a raffle")
        await ask(bot, MARK, 2)
        await press(bot, MARK, "✅")
        assert [(f.n, f.cost, f.left) for f in bot.facts(CreditChanged)] == [(1, 25, 75), (2, 25, 50)]
        assert sorted(f.n for f in bot.facts(SanctionStarted) if f.kind == "redact") == [1, 2]


async def test_only_what_was_shown_and_still_waits_is_decided_and_nobody_decides_their_own(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        for who in (ANNA, MINA, OLGA):
            await bot.say(who, "forbidden")
        assert await ask(bot, MARK, 1) == "1:1 2:1 3:1"
        await bot.say(UserId("@zoe:example.org"), "forbidden")  # came after the question
        await bot.say(MARK, "!uphold 3", DESK)
        await press(bot, ANNA, "✅")  # no manager
        await press(bot, MINA, "1\ufe0f\u20e3")  # means nothing here
        assert [f.n for f in bot.facts(CaseDecided)] == [3]
        await press(bot, MINA, "✅")
        assert [(f.n, f.by) for f in bot.facts(CaseDecided)] == [(3, MARK), (1, MINA)]
        assert await bot.rows("SELECT n FROM cases WHERE outcome = ''") == [(2,), (4,)]
        await press(bot, MINA, "✅")
        assert (await answers(bot))[-2:] == ["done.together.upheld", "error.together.nothing"]


async def test_a_case_with_more_messages_than_were_shown_is_left(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(MINA, "forbidden")
        await ask(bot, MARK, 1)
        await bot.say(ANNA, "forbidden again")
        await press(bot, MARK, "✅")
        assert [f.n for f in bot.facts(CaseDecided)] == [2]
        assert await bot.rows("SELECT n FROM cases WHERE outcome = ''") == [(1,)]


async def test_after_a_measure_for_low_credit_the_other_cases_of_the_person_are_left(tmp_path: Path) -> None:
    words = ("forbidden", "raffle", "lottery", "casino", "roulette")
    rules = "".join(RULES.replace("tickets", word).replace("forbidden", word) for word in words)
    async with offline(tmp_path, rules) as bot:
        for word in words:
            await bot.say(ANNA, word)
        cases = len(await bot.rows("SELECT n FROM cases"))
        assert cases == len(words)
        await ask(bot, MARK, 1)
        await press(bot, MARK, "✅")
        begun = [f.kind for f in bot.facts(SanctionStarted) if f.basis == "credit"]
        decided = [f.n for f in bot.facts(CaseDecided)]
        assert begun == ["mute"] and len(decided) < cases
        await press(bot, MARK, "✅")
        assert len(bot.facts(CaseDecided)) > len(decided)


async def test_a_case_of_another_hour_or_rule_does_not_belong(tmp_path: Path) -> None:
    async with offline(tmp_path, TWO) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(MINA, "a raffle")
        await bot.pass_time(30 * MINUTE)
        await bot.say(OLGA, "forbidden")
        assert await ask(bot, MARK, 1) == ""
        assert await answers(bot) == ["error.together.alone"]
