"""Reporters ask why and appeal a dismissal, managers explain dismissals, owners see how their managers decide."""

import pytest

from moderation.model.facts import Appealed, CaseAssigned, CaseDecided, NoticeGiven
from moderation.values.durations import DAY_MS
from tests.door.bot.commands.test_report import by_the_bot
from tests.theatre.scene import Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, like


@pytest.mark.long
async def test_a_dismissal_takes_a_reason_by_word_or_by_one_tap(theatre: Theatre) -> None:
    scene = await theatre.scene(members=3)
    bot, room, (manager,), (ann, ben, cleo) = scene.bot, scene.room, scene.managers, scene.members
    said = await ann.send_text(room, "you are all fools")
    await bot.has(said)
    await cleo.react(room, said, "🚩")
    card = await scene.card(manager, 1)
    assert like("question.reason", n="1").match(await ask(manager, bot, scene.desk, "!dismiss 1"))
    assert bot.facts(CaseDecided) == []
    await manager.react(scene.desk, card.id, "🤝")
    await told(cleo, bot, like("report.outcome.dismissed", n="1"))
    assert [(f.what, f.reason) for f in bot.facts(CaseDecided)] == [
        ("dismissed", "It was settled between the people concerned.")
    ]
    why = await ask(cleo, bot, await open_direct(cleo, bot), "!why 1")
    assert like("report.became.dismissed", n="1").search(why)
    assert like("notice.reason", reason="It was settled between the people concerned.").search(why)
    assert like("report.can-appeal", n="1").search(why)
    assert like("error.case.none", n="1").match(await ask(ben, bot, await open_direct(ben, bot), "!why 1"))


@pytest.mark.long
async def test_a_reporters_appeal_goes_to_somebody_else_and_names_nobody_in_the_desk(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2, members=2)
    bot, room, (mark, mina), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    said = await ann.send_text(room, "you are all fools")
    await bot.has(said)
    await ben.react(room, said, "🚩")
    await scene.card(mark, 1)
    await ask(mark, bot, scene.desk, "!dismiss 1 harmless")
    await told(ben, bot, like("report.outcome.dismissed", n="1"))
    direct = await direct_room(ben, bot)
    await ben.send_text(direct, "!appeal 1 it is about my family")
    await told(ben, bot, like("report.appealed", n="1"))
    reasons = like("desk.appealed-report", n="1", words="it is about my family")
    await scene.wait_desk(mina, lambda seen: reasons.search(seen.body) is not None, "the appeal")
    assert like("report.looked-at-again").search(await ask(ben, bot, direct, "!why 1"))
    assert [(f.subject, f.report) for f in bot.facts(Appealed)] == [(ben.user, 1)]
    assert [f.subject for f in bot.facts(CaseAssigned)][-1] == mina.user
    assert like("error.appeal.own-decision").match(await ask(mark, bot, scene.desk, "!dismiss 1 as I said"))
    await ask(mina, bot, scene.desk, "!uphold 1 it is about her family")
    await told(ben, bot, like("report.outcome.upheld-after-all", n="1"))
    word = await told(ann, bot, like("notice.report.upheld", n="1", by=mina.user))
    assert like("notice.foot", n="1").search(word.body)
    await bot.idle()
    assert await mina.is_redacted(room, said)
    mine = await direct_room(ann, bot)
    assert like("report.became.upheld").search(await ask(ben, bot, direct, "!why 1"))
    await ann.send_text(mine, "!appeal 1 I meant the weather")  # the first decision against her
    await told(ann, bot, like("notice.appealed.other", n="1"))
    await ask(mark, bot, scene.desk, "!dismiss 1 the weather it was")
    await told(ann, bot, like("notice.report.dismissed", n="1"))
    assert [(f.what, f.state) for f in bot.facts(CaseDecided)] == [
        ("dismissed", "decided"),
        ("upheld", "reversed"),
        ("dismissed", "reversed"),
    ]
    await bot.idle()
    for who in (ann, mark, mina):
        read = await by_the_bot(who, bot)
        assert ben.user not in read


@pytest.mark.parametrize("content", ["full", "metadata"])
async def test_a_manager_who_was_reported_does_not_read_the_reporters_reasons_but_who_decides_does(
    theatre: Theatre, content: str
) -> None:
    scene = await theatre.scene(f'{RULES}[records]\ncontent = "{content}"\n', managers=2, members=1)
    bot, room, (mark, mina), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    said = await mark.send_text(room, "you are all fools")
    await bot.has(said)
    await ann.react(room, said, "🚩")
    await scene.card(mina, 1)
    await ask(mina, bot, scene.desk, "!dismiss 1 harmless")
    await told(ann, bot, like("report.outcome.dismissed", n="1"))
    direct = await direct_room(ann, bot)
    await ann.send_text(direct, "!appeal 1 xylographic")
    await told(ann, bot, like("report.appealed", n="1"))
    await scene.wait_desk(
        mark, lambda seen: like("desk.appealed-report-discreet", n="1").search(seen.body) is not None, "the appeal"
    )
    reasons = like("desk.appealed-report", n="1", words="xylographic")
    assert reasons.search((await told(scene.owner, bot, reasons)).body)
    await bot.idle()
    for reads_none in (mark, mina):
        assert "xylographic" not in await by_the_bot(reads_none, bot)
    kept = await ask(scene.owner, bot, await direct_room(scene.owner, bot), "!case 1")
    assert ("xylographic" in kept) == (content == "full")


@pytest.mark.long
@pytest.mark.usefixtures("at_noon")
async def test_once_a_week_owners_alone_are_told_how_each_manager_decided_and_others_the_sums(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(RULES, members=1, bot=f'digest = "00:00"\noperators = ["{operator.user}"]')
    bot, owner, (manager,), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    await bot.until(lambda: bot.rows("SELECT 1 FROM meta WHERE key = 'digest'"), "the first look")
    for n in (1, 2):
        bot.ahead_ms += 11 * 60_000  # another card
        await ann.send_text(scene.room, f"forbidden {n}")
        await scene.card(manager, n)
    await ask(manager, bot, scene.desk, "!dismiss 1 no")
    await ask(manager, bot, scene.desk, "!uphold 2 yes")
    await told(ann, bot, like("notice.message.upheld", n="2"))
    await ann.send_text(await direct_room(ann, bot), "!appeal 2 please")
    await told(ann, bot, like("notice.appealed.other", n="2"))
    await ask(owner, bot, scene.desk, "!dismiss 2 granted")
    bot.ahead_ms += 7 * DAY_MS
    await bot.restart()
    word = await told(owner, bot, like("digest.figures-head"))
    assert like("digest.figures", who=manager.user, decided="2", dismissed="1", reversed="1").search(word.body)
    await bot.idle()
    assert {f.subject for f in bot.facts(NoticeGiven) if f.what == "digest.figures-head"} == {owner.user}
    sums = like("digest.figures-sum", decided="3", dismissed="2", reversed="1", waiting="0", overdue="0")
    in_desk = await scene.wait_desk(manager, lambda seen: sums.search(seen.body) is not None, "the sums")
    to_operator = await told(operator, bot, sums)
    for read in (in_desk, to_operator):
        assert manager.user not in read.body
        assert like("digest.figures-of-all").search(read.body)
