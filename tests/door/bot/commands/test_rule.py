"""`!rule`: managers list, test, write and remove rules of their room; consequences outlast the removal of a rule."""

import re
from pathlib import Path

import pytest

from moderation.model.facts import CaseOpened, CreditChanged, Found, RoomRuleChanged, SanctionStarted
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.theatre.scene import Scene, Theatre, ask, direct_room, told
from tests.theatre.served import RULES, like

NARROW = RULES + "[groups]\nown_rules = 2\nown_rules_terms = 3\n"
WRONG = {
    "!rule frobnicate": "error.rule.what",
    "!rule add": "error.rule.name",
    '!rule add tickets terms "x"': "error.rule.operators-name",
    '!rule add ads terms "a" "b" "c" "d"': "error.rule.long",
    '!rule add ads terms "a" severe': "error.rule.class",
    '!rule add ads terms "a" modrate': "error.rule.near-word",
    "!rule add ads terms": "config.missing",
    '!rule add ads pattern "("': "config.expected.pattern_group_open",
    '!rule add ads pattern "' + "k{1000}" * 80 + '"': "config.expected.pattern_large",
    "!rule add ads flood within 1h": "error.rule.window",
    "!rule add ads flood messages 5000": "config.expected.at_most",
    "!rule add ads media": "error.rule.limits-nothing",
    "!rule add ads shape": "config.expected.shape_nothing",
    '!rule add ads terms "a" text': "error.rule.text",
    "!rule remove tickets": "error.rule.operators",
    "!rule remove ads": "error.rule.none",
    "!rule test": "error.rule.nothing",
}


async def test_a_room_rule_is_tried_applied_told_and_outlived_by_its_cases(theatre: Theatre, tmp_path: Path) -> None:
    scene = await theatre.scene(NARROW, members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    for typed, wrong in WRONG.items():
        assert like(wrong).search(await ask(manager, bot, scene.desk, typed)), typed
    assert like("room-rule.test-none").search(await ask(manager, bot, scene.desk, "!rule test come and buy now"))
    word = await ask(manager, bot, scene.desk, "!rule add ads terms “buy now” moderate redact manager")
    assert like("room-rule.added").search(word)
    await _said(scene, like("rules.added", rule="ads"))
    tried = await ask(manager, bot, scene.desk, "!rule test a purple elephant; BUY N0W")
    assert like("room-rule.hit", rule="ads", matched="BUY N0W").search(tried)
    assert like("room-rule.hit", rule="No purple elephants", matched="purple elephant").search(tried)
    assert like("room-rule.by", by=manager.user, values="buy now").search(
        await ask(manager, bot, scene.desk, "!rule list")
    )
    assert like("rules.one.manager", rule="ads").search(await ask(ann, bot, room, "!rules"))
    assert bot.facts(Found) == []
    bad = await ann.send_text(room, "buy now!")
    await scene.card(manager, 1)
    await bot.crash()
    bot.start()
    again = await ben.send_text(room, "do buy now")  # it holds after a crash, too
    await scene.card(manager, 2)
    command = await manager.send_text(room, "!rule remove ads")
    await _said(scene, like("rules.removed", rule="ads"))
    assert like("room-rule.removed").search((await told(manager, bot, like("room-rule.removed"))).body)
    free = await ben.send_text(room, "buy now, I say")
    await bot.has(free)
    assert like("decided.upheld").search(await ask(manager, bot, scene.desk, "!uphold 1"))
    assert like("decided.dismissed").search(await ask(manager, bot, scene.desk, "!dismiss 2 no"))
    await bot.idle()
    gone = [await scene.owner.is_redacted(room, each) for each in (bad, again, free, command)]
    assert gone == [True, False, False, True]
    assert [(f.n, f.rule, f.grade, f.state) for f in bot.facts(CaseOpened)] == [
        (1, "ads", "moderate", "open"),
        (2, "ads", "moderate", "open"),
    ]
    assert [(f.rule, f.cost) for f in bot.facts(CreditChanged)] == [("ads", 10)]
    assert [(f.kind, f.rule, f.n) for f in bot.facts(SanctionStarted)] == [("redact", "ads", 1)]
    changed = [(f.step, f.rule, f.by, f.room) for f in bot.facts(RoomRuleChanged)]
    assert changed == [("added", "ads", manager.user, room), ("removed", "ads", manager.user, room)]
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    assert {name for name, rows in (await rebuilt(bot, tmp_path)).items() if rows != live[name]} == set()


@pytest.mark.long
async def test_room_rules_are_limited_in_number_to_managers_and_to_the_room(theatre: Theatre) -> None:
    scene = await theatre.scene(NARROW)
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    other = await theatre.room(bot, scene.owner, [], [ann])
    assert like("error.right.manager").search(await ask(ann, bot, room, '!rule add ads terms "x"'))
    await manager.send_text(room, '!rule add ads links deny example.org "example.net"')  # said in the room itself
    await told(manager, bot, like("room-rule.added"))
    assert like("error.rule.there").search(await ask(manager, bot, scene.desk, '!rule add ads terms "x"'))
    await ask(manager, bot, scene.desk, '!rule add num pattern "[0-9]{9}" none')
    assert like("error.rule.many").search(await ask(manager, bot, scene.desk, '!rule add more terms "x"'))
    direct = await direct_room(manager, bot)
    hit = await ask(manager, bot, direct, f"!rule test see www.example.net {bot.code(room)}")
    assert like("room-rule.hit", rule="ads").search(hit)
    said = await ask(manager, bot, room, "!rule test see example.net")
    assert like("error.rule.test-here").search(said)
    here = await ann.send_text(room, "see example.org")
    there = await ann.send_text(other, "see example.org")
    await told(ann, bot, like("notice.violation", rule="ads"))
    await bot.has(here, there)
    await bot.idle()
    gone = [await scene.owner.is_redacted(where, each) for where, each in ((room, here), (other, there))]
    assert gone == [True, False]


@pytest.mark.long
async def test_a_room_rule_has_words_for_members_and_any_kind_can_be_written(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    words = "Please do not advertise."
    await ask(manager, bot, scene.desk, f'!rule add no-ads terms "buy now" minor text "{words}"')
    await _said(scene, like("rules.added", rule=words))
    await ask(manager, bot, scene.desk, "!rule add calm flood messages 3 within 1m minor notice text “请不要刷屏。”")
    await ask(manager, bot, scene.desk, '!rule add few mentions limit 2 unless verified 2 unless users "@_irc_*:x.org"')
    trial = await ask(manager, bot, scene.desk, '!rule add gossip terms "gossip" dry-run')
    assert like("room-rule.added-on-trial", rule="gossip").search(trial)
    tried = await ask(manager, bot, scene.desk, "!rule test gossip")
    assert like("room-rule.hit-on-trial", rule="gossip").search(tried)
    await ask(manager, bot, scene.desk, "!rule add pics media kinds image max-size 5MB")
    await ask(manager, bot, scene.desk, "!rule add short shape max-length 500 max-lines 9")
    listed = await ask(manager, bot, scene.desk, "!rule list")
    assert like("room-rule.own", name="no-ads", kind="words", grade="minor").search(listed)
    assert like("room-rule.own", name="gossip", state="on trial").search(listed)
    assert like("room-rule.tried", count="0").search(listed)
    assert like("room-rule.words", words=words).search(listed)
    assert like("room-rule.by", values="messages 3, within 1m").search(listed)
    assert like("room-rule.by", values="image, max-size 5MB, unknown-size allow, unknown-type allow").search(listed)
    shown = await ask(ann, bot, room, "!rules")
    assert like("rules.one.auto", rule=words).search(shown)
    assert "gossip" not in shown
    for said in (listed, shown):
        assert like("rules.spares.verified", level="2").search(said)
        assert like("rules.spares.users", users="@_irc_*:x.org").search(said)
    for n in range(3):
        await ann.send_text(room, f"{n}")
    bad = await ann.send_text(room, "buy now")  # the fourth, too
    await told(ann, bot, like("notice.violation", rule=words))
    long = await ann.send_text(room, "word " * 110)
    await bot.has(bad, long)
    await bot.idle()
    assert {fact.rule for fact in bot.facts(Found)} == {"no-ads", "calm", "short"}
    assert await scene.owner.is_redacted(room, long)
    await ask(manager, bot, scene.desk, "!rule remove no-ads")
    await _said(scene, like("rules.removed", rule=words))


async def _said(scene: Scene, pattern: re.Pattern[str]) -> None:
    await scene.owner.wait_event(
        scene.room, lambda s: s.sender == scene.bot.user and pattern.search(s.body) is not None, what="a notice to all"
    )
