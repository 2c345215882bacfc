"""`!set`: owners change settings of their room beyond the configuration; managers see them."""

from pathlib import Path

import pytest

from moderation.model.facts import RoomSettingChanged, VerificationAsked
from tests.door.bot.identity.test_verification_rooms import until_gone, vouched
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import like

HOUR = 3_600_000
CONFIGURED = '[verification]\ngrace = "1h"\n[groups]\nowners_set = ["verify", "language"]\n'
LEVELS = "1, 2, default"
WRONG = {
    "!set colour red": ("error.set.what", {"given": "colour", "known": "language, verify, digest, newcomers, joins"}),
    "!set verify": ("error.set.value", {"setting": "verify", "known": LEVELS}),
    "!set language": ("error.set.value", {"setting": "language", "known": "en, zh, default"}),
    "!set verify 4": ("error.set.level", {"given": "4", "known": LEVELS}),
    "!set verify 3": ("error.set.reach", {"level": "3", "reach": "2", "known": LEVELS}),
    "!set verify 2 restrct": ("error.set.below", {"known": "remind, restrict, gate, remove"}),
    "!set verify 2 restrict now": ("error.superfluous", {"words": "now"}),
    "!set language tlh": ("error.language", {"given": "tlh", "known": "en, zh, default"}),
    "!set digest off": ("error.set.operators", {"setting": "digest"}),
    "!set newcomers links": ("error.set.operators", {"setting": "newcomers"}),
}


async def test_a_room_can_require_verification_and_no_more_than_that(theatre: Theatre, tmp_path: Path) -> None:
    scene = await theatre.scene(CONFIGURED, members=2, known=["managers"])
    bot, room, owner, (ann, ben) = scene.bot, scene.room, scene.owner, scene.members
    for typed, (wrong, fields) in WRONG.items():
        assert like(wrong, **fields).search(await ask(owner, bot, scene.desk, typed)), typed
    assert like("error.right.set").search(await ask(scene.managers[0], bot, scene.desk, "!set verify 2"))
    assert like("set.verify-not").search(await ask(scene.managers[0], bot, scene.desk, "!set"))
    await vouched(scene, ben)
    assert like("set.done.verify").search(await ask(owner, bot, scene.desk, "!set verify 2 restrict"))
    await ann.wait_event(room, lambda s: like("set.said.verify", level="2").search(s.body) is not None, what="a word")
    early = await ann.send_text(room, "there is time")
    await told(ann, bot, like("pointer.reminded"))
    await bot.crash()
    bot.ahead_ms += HOUR
    bot.start()
    late = await ann.send_text(room, "time is over")
    fine = await ben.send_text(room, "I am known")
    await until_gone(owner, room, late)
    shown = await ask(owner, bot, scene.desk, "!set")
    assert like("set.verify", level="2", below="their messages are removed", source="set by this room").search(shown)
    await ask(owner, bot, scene.desk, "!set verify default")
    free = await ann.send_text(room, "and now")
    await bot.has(early, late, fine, free)
    await bot.idle()
    assert [await ann.is_redacted(room, each) for each in (early, late, fine, free)] == [False, True, False, False]
    assert [(f.what, f.subject) for f in bot.facts(VerificationAsked)] == [("reminded", ann.user), ("held", ann.user)]
    assert [(f.setting, f.value, f.by) for f in bot.facts(RoomSettingChanged)] == [
        ("verify", "2-restrict", owner.user),
        ("verify", "-", owner.user),
    ]
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    assert {name for name, rows in (await rebuilt(bot, tmp_path)).items() if rows != live[name]} == set()


@pytest.mark.long
@pytest.mark.usefixtures("at_noon")
async def test_language_and_digest_are_chosen_a_gate_goes_up_and_comes_down_again(theatre: Theatre) -> None:
    scene = await theatre.scene(bot='digest = "00:00"')
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    assert like("set.digest", at="00:00", source="set by the operator").search(
        await ask(owner, bot, scene.desk, "!set")
    )
    assert like("error.set.on-off").search(await ask(owner, bot, scene.desk, "!set digest maybe"))
    assert like("set.done.digest").search(await ask(owner, bot, scene.desk, "!set digest 关"))
    assert like("set.digest-not", source="set by this room").search(await ask(owner, bot, scene.desk, "!set"))
    await ann.send_text(room, "forbidden 1")
    await scene.card(manager, 1)
    before = bot.rows("SELECT value FROM meta WHERE key = 'digest'")
    bot.ahead_ms += 24 * HOUR
    await bot.restart()
    await bot.until(lambda: bot.rows("SELECT value FROM meta WHERE key = 'digest'") != before, "the next day")
    await bot.idle()
    said = [str(e["content"].get("body")) for e in await manager.messages(scene.desk) if e["sender"] == bot.user]
    assert not any(like("digest.head").search(each) for each in said)
    await ask(owner, bot, scene.desk, "!set verify 2 gate")
    await owner.wait_state(room, "m.room.join_rules", lambda c: c.get("join_rule") == "knock", what="a gate")
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE purpose = 'lobby' AND condition <> 'left'"), "a lobby")
    await ask(owner, bot, scene.desk, "!set verify default")
    await owner.wait_state(room, "m.room.join_rules", lambda c: c.get("join_rule") == "invite", what="no gate")
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE purpose = 'lobby' AND condition = 'left'"), "no lobby")
    chosen_now = like("set.done.language", "zh", spoken="中文")
    assert chosen_now.search(await ask(owner, bot, scene.desk, "!set language zh"))
    assert like("status.room", "zh").search(await ask(manager, bot, room, "!status"))
    chosen = {"value": "中文", "source": "由本房间设定"}
    assert like("set.language", "zh", **chosen).search(await ask(manager, bot, scene.desk, "!set"))
    default = like("set.done.language", spoken="English")
    assert default.search(await ask(owner, bot, scene.desk, "!set language default"))
    assert like("status.room").search(await ask(manager, bot, room, "!status"))
