"""The desk as a tool: complete cards, notes, read marks, faults, and the daily digest."""

import pytest

from moderation.cases.statements import from_json
from moderation.model.facts import CaseMoved, CaseNoted, CaseOpened, ContentRead, CreditChanged, StatementGiven
from moderation.values.durations import DAY_MS
from tests.theatre.scene import Theatre, ask, open_direct, told
from tests.theatre.served import RULES, like, phrase

QUOTE = "forbidden 7"


async def test_a_card_names_who_answers_and_shows_what_it_has_become(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, (mark, mina), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    await ann.send_text(room, QUOTE)
    card = await scene.card(mark, 1)
    assert like("card.answering", names=f"{min(mark.user, mina.user)}, {max(mark.user, mina.user)}").search(card.body)
    assert sorted(card.content["m.mentions"]["user_ids"]) == sorted([mark.user, mina.user])
    await mark.react(scene.desk, card.id, "🔎")
    more = await scene.wait_desk(mark, lambda s: like("around.rule").search(s.body) is not None, "the first answer")
    assert like("around.no-earlier", who=ann.user).search(more.body)
    assert [(f.what, f.n, f.subject, f.by) for f in bot.facts(ContentRead)] == [("history", 1, ann.user, mark.user)]
    assert [(f.step, f.state, f.by) for f in bot.facts(CaseMoved)] == [("acknowledged", "acknowledged", mark.user)]
    assert like("error.case.step").search(await ask(mina, bot, scene.desk, "!ack 1"))
    await mina.send_text(scene.desk, "!note 1 she was quoting, I think")
    await scene.wait_desk(mark, lambda s: like("desk.noted", by=mina.user, n="1").search(s.body) is not None, "a note")
    assert [(f.n, f.by, f.words) for f in bot.facts(CaseNoted)] == [(1, mina.user, "she was quoting, I think")]
    direct = await open_direct(mark, bot)
    shown = await ask(mark, bot, direct, "!case 1")
    assert like("card.note", by=mina.user, words="she was quoting, I think").search(shown)
    assert like("cases.due", n="1", state=phrase("state.acknowledged")).search(await ask(mark, bot, direct, "!cases"))


@pytest.mark.long
async def test_a_reversal_for_clear_error_is_a_case_about_the_decider(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, owner, (mark, mina), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ann.send_text(room, QUOTE)
    await scene.card(mark, 1)
    assert like("error.fault.nobody").search(await ask(mark, bot, scene.desk, "!dismiss 1 error no"))
    await ask(mark, bot, scene.desk, "!uphold 1")
    await told(ann, bot, like("notice.message.upheld"))
    await ann.send_text(room, "!appeal 1 read it again")
    await told(ann, bot, like("notice.appealed.other"))
    assert like("error.fault.bad-faith").search(await ask(mina, bot, scene.desk, "!dismiss 1 bad-faith he hates her"))
    assert like("decided.dismissed").search(await ask(owner, bot, scene.desk, "!dismiss 1 bad-faith read the log"))
    word = await told(mark, bot, like("notice.own.duty_bad_faith", about="1", n="2"))
    assert like("notice.standing.charge", cost="25", left="75").search(word.body)
    assert [(f.rule, f.subject, f.by) for f in bot.facts(CaseOpened)][1:] == [("duty_bad_faith", mark.user, owner.user)]
    assert [(f.ledger, f.cost) for f in bot.facts(CreditChanged)] == [("credit", 25), ("credit", 0), ("standing", 25)]
    # Not decided among those who share the duty.
    assert like("error.case.for-owner").search(await ask(mina, bot, scene.desk, "!dismiss 2 he is my friend"))


async def test_direct_acts_of_a_manager_are_explained_appealed_and_undone(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, owner, (mark, mina), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ask(mark, bot, scene.desk, f"!ban {ann.user} 7d shouting")
    await owner.wait_state(room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    word = await told(ann, bot, like("notice.command.ban", by=mark.user))
    why = await ask(ann, bot, word.room, "!why")
    assert like("statement.did-until", what="banned").search(why)
    assert like("notice.reason", reason="shouting").search(why)
    await ann.send_text(word.room, "!appeal 1 it was my brother")
    await scene.wait_desk(mina, lambda s: like("desk.appealed", n="1").search(s.body) is not None, "the appeal")
    card = await scene.card(mina, 1)  # now there is something to decide
    assert like("card.appeal-words", words="it was my brother").search(card.body)
    assert like("error.appeal.own-decision").search(await ask(mark, bot, scene.desk, "!uphold 1"))
    await mina.react(scene.desk, card.id, "❌")
    await ann.wait_invite(room)
    await ann.join(room)
    stated = [from_json(fact.statement) for fact in bot.facts(StatementGiven)]
    assert [(s.outcome, s.automatic, s.by, s.on_appeal) for s in stated if s] == [
        ("upheld", False, mark.user, False),
        ("dismissed", False, mina.user, True),
    ]
    assert like("error.case.not-again").search(await ask(owner, bot, scene.desk, "!uphold 1"))


@pytest.mark.long
@pytest.mark.usefixtures("at_noon")
async def test_the_desk_is_told_once_a_day_what_waits_and_not_when_nothing_does(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1, bot='digest = "00:00"')
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    await bot.until(lambda: bot.rows("SELECT 1 FROM meta WHERE key = 'digest'"), "the first look")
    await ann.send_text(room, QUOTE)
    card = await scene.card(manager, 1)
    await bot.stop()
    bot.ahead_ms += DAY_MS
    bot.start()
    digest = await scene.wait_desk(manager, lambda s: like("digest.head", count="1").search(s.body) is not None, "it")
    assert like("cases.due", n="1", who=ann.user).search(digest.body)
    assert like("digest.on-duty", names=manager.user).search(digest.body)
    await manager.react(scene.desk, card.id, "❌")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE outcome <> ''"), "the decision")
    await bot.idle()
    await bot.stop()
    bot.ahead_ms += DAY_MS
    bot.start()
    day = "SELECT value FROM meta WHERE key = 'digest'"
    before = bot.rows(day)
    await bot.until(lambda: bot.rows(day) != before, "the next look")
    await bot.idle()
    said = [e for e in await manager.messages(scene.desk, 200) if "digest" not in e and e["sender"] == bot.user]
    bodies = [str(e["content"].get("body", "")) for e in said]
    assert sum(like("digest.head").search(body) is not None for body in bodies) == 1
